//! A condition variable between processes.

use std::{fmt, time::Duration};

use mobula_protocol::{
    Error, Result, SharedKind,
    sync::{RawCondvar, WaitError},
};

use super::{
    cell::{Cell, CellMemory, Layout},
    data::SharedData,
    errors::unless_poisoned,
    mutex::SharedMutexGuard,
};
use crate::Runtime;

const LAYOUT: Layout = Layout {
    words: RawCondvar::<CellMemory>::WORDS,
    futexes: RawCondvar::<CellMemory>::FUTEXES,
};

const KIND: (SharedKind, u64) = (SharedKind::Condvar, 0);

/// A condition variable between processes, for use with [`SharedMutex`](crate::SharedMutex)es.
///
/// A wait may end without a notification, also since some process has died. So check the condition
/// again, or use [`wait_while`](Self::wait_while).
///
/// # Examples
/// ```
/// use mobula::{SharedCondvar, SharedMutex, prelude::*};
///
/// #[remote]
/// fn open(door: &SharedMutex<u32>, opened: &SharedCondvar) -> mobula::Result<()> {
///     *door.lock()? = 1;
///     opened.notify_all();
///     Ok(())
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let (door, opened) = (rt.shared_mutex(0_u32)?, rt.shared_condvar()?);
/// open::remote(&door, &opened).spawn().detach();
/// let guard = opened.wait_while(door.lock()?, |door| *door == 0)?;
/// assert_eq!(*guard, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SharedCondvar {
    cell: Cell,
    raw: RawCondvar<CellMemory>,
}

impl SharedCondvar {
    fn new(cell: Cell) -> SharedCondvar {
        SharedCondvar {
            raw: RawCondvar::new(cell.memory.clone(), 0, 0),
            cell,
        }
    }

    /// Unlocks, waits for a notification, and locks again. A notification that is sent after the
    /// unlocking is not missed.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let (door, opened) = (rt.shared_mutex(false as u8)?, rt.shared_condvar()?);
    /// std::thread::scope(|scope| {
    ///     let mut guard = door.lock()?;
    ///     scope.spawn(|| {
    ///         *door.lock().unwrap() = 1;
    ///         opened.notify_one();
    ///     });
    ///     while *guard == 0 {
    ///         guard = opened.wait(guard)?;
    ///     }
    ///     Ok(())
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    /// * [`is_poisoned`](Error::is_poisoned): a process died, or a thread panicked, with the mutex
    ///   meanwhile. It is unlocked then.
    /// * [`is_shutdown`](Error::is_shutdown): the runtime ended during the wait. The mutex is not
    ///   locked then.
    pub fn wait<'m, T: SharedData + ?Sized>(
        &self,
        guard: SharedMutexGuard<'m, T>,
    ) -> Result<SharedMutexGuard<'m, T>> {
        self.wait_for(guard, None).map(|(guard, _)| guard)
    }

    /// Does what [`wait`](Self::wait) does, for up to `limit`. The result says whether a
    /// notification may have come.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let (door, opened) = (rt.shared_mutex(0_u32)?, rt.shared_condvar()?);
    /// let (guard, notified) = opened.wait_timeout(door.lock()?, Duration::from_millis(5))?;
    /// assert_eq!((*guard, notified), (0, false));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`wait`](Self::wait).
    pub fn wait_timeout<'m, T: SharedData + ?Sized>(
        &self,
        guard: SharedMutexGuard<'m, T>,
        limit: Duration,
    ) -> Result<(SharedMutexGuard<'m, T>, bool)> {
        self.wait_for(guard, Some(limit))
    }

    /// Waits until `condition` returns `false`.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let (items, changed) = (rt.shared_mutex(0_u32)?, rt.shared_condvar()?);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         *items.lock().unwrap() += 3;
    ///         changed.notify_one();
    ///     });
    ///     let guard = changed.wait_while(items.lock()?, |items| *items < 3)?;
    ///     assert_eq!(*guard, 3);
    ///     Ok(())
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`wait`](Self::wait).
    pub fn wait_while<'m, T: SharedData + ?Sized>(
        &self,
        mut guard: SharedMutexGuard<'m, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> Result<SharedMutexGuard<'m, T>> {
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    fn wait_for<'m, T: SharedData + ?Sized>(
        &self,
        mut guard: SharedMutexGuard<'m, T>,
        limit: Option<Duration>,
    ) -> Result<(SharedMutexGuard<'m, T>, bool)> {
        let waiting = self.cell.waiting(limit);
        let waited = self.raw.wait(guard.held.raw, guard.held.holder, waiting);
        let waited = waited.map_err(|error| match error {
            WaitError::Ended => self.cell.why_ended(),
            WaitError::NotHolder => Error::internal("the mutex is not locked by this thread"),
        })?;
        // Others had the mutex meanwhile.
        let cause = waited.acquired.cause();
        guard.held.cause = cause;
        unless_poisoned("the shared mutex", (guard, !waited.timed_out), cause)
    }

    /// Wakes one thread that waits.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let changed = rt.shared_condvar()?;
    /// changed.notify_one(); // nobody waits: nothing happens
    /// # Ok(())
    /// # }
    /// ```
    pub fn notify_one(&self) {
        self.raw.notify_one();
    }

    /// Wakes all threads that wait.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let (door, opened) = (rt.shared_mutex(0_u32)?, rt.shared_condvar()?);
    /// std::thread::scope(|scope| {
    ///     let wait = || opened.wait_while(door.lock().unwrap(), |door| *door == 0).map(drop);
    ///     let waiting = [scope.spawn(wait), scope.spawn(wait)];
    ///     *door.lock()? = 1;
    ///     opened.notify_all();
    ///     waiting.into_iter().try_for_each(|thread| thread.join().unwrap())
    /// })
    /// # }
    /// ```
    pub fn notify_all(&self) {
        self.raw.notify_all();
    }
}

impl Runtime {
    /// Makes a condition variable between processes.
    ///
    /// # Examples
    /// ```
    /// use mobula::{SharedCondvar, prelude::*};
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let changed: SharedCondvar = rt.shared_condvar()?;
    /// changed.notify_all();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`is_store_full`](Error::is_store_full) when there is no room, `is_shutdown` after the
    /// runtime's end.
    pub fn shared_condvar(&self) -> Result<SharedCondvar> {
        Cell::create(self.engine(), KIND, LAYOUT, &[], 0).map(SharedCondvar::new)
    }
}

impl fmt::Debug for SharedCondvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedCondvar")
    }
}

super::cell::travels! { SharedCondvar, KIND, LAYOUT }
