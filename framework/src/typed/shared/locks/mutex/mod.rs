//! Mutual exclusion between processes.

mod guards;

use std::{marker::PhantomData, time::Duration};

use mobula_protocol::{
    Result, SharedKind,
    sync::{Acquired, Cause, Holder, LockError, RawMutex, Waiting},
};

use super::{
    cell::{CellMemory, Layout},
    data::SharedData,
    errors::{checked, not_acquired, unless_poisoned},
    exclusive::{Held, HeldByFuture},
    protected::{Protected, lock_over_data},
    waiting::acquire,
};
use crate::{Runtime, typed::shared::SharedElement};

pub use guards::{OwnedMutexGuard, SharedMutexGuard};

const LAYOUT: Layout = Layout {
    words: RawMutex::<CellMemory>::WORDS,
    futexes: RawMutex::<CellMemory>::FUTEXES,
};

const WHAT: &str = "the shared mutex";

/// A value in shared memory that one thread of all processes has at a time.
///
/// A clone is the same mutex, and so is the handle that arrives in a task or comes out of a value.
///
/// * Locking a free mutex costs two atomic operations, without a system call. A thread that has
///   waited for 1 ms gets it before threads that come later.
/// * When a process dies with it, or a thread panics, the next lock is an error for which
///   [`is_poisoned`](crate::Error::is_poisoned) holds. It says which process died and how.
///   [`lock_ignoring_poison`](Self::lock_ignoring_poison) gives the value nevertheless. No thread
///   hangs.
/// * A task that waits for it lets other tasks run on its worker meanwhile.
/// * Guards stay on their thread. Asynchronous code uses [`lock_async`](Self::lock_async), whose
///   guard may be held across `.await`.
///
/// # Examples
/// ```
/// use mobula::{SharedMutex, prelude::*};
///
/// #[remote]
/// fn deposit(account: &SharedMutex<u64>, amount: u64) -> mobula::Result<()> {
///     *account.lock()? += amount;
///     Ok(())
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// let rt = Runtime::start()?;
/// let account = rt.shared_mutex(100_u64)?;
/// rt.get(rt.spawn_all((0..10).map(|_| deposit::remote(&account, 5))))?;
/// assert_eq!(*account.lock()?, 150);
/// # Ok(())
/// # }
/// ```
pub struct SharedMutex<T: ?Sized> {
    protected: Protected<T>,
    raw: RawMutex<CellMemory>,
}

lock_over_data!(SharedMutex, SharedKind::Mutex, LAYOUT);

impl<T: SharedData + ?Sized> SharedMutex<T> {
    fn of(protected: Protected<T>) -> Result<SharedMutex<T>> {
        Ok(SharedMutex {
            raw: RawMutex::new(protected.cell.memory.clone(), 0, 0),
            protected,
        })
    }

    /// Locks the mutex. Blocks while another thread has it.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let point = rt.shared_mutex([1.0, 2.0])?;
    /// point.lock()?[1] = 3.0; // unlocks at the end of the statement
    /// let guard = point.lock()?;
    /// assert_eq!(*guard, [1.0, 3.0]);
    /// assert!(point.lock().unwrap_err().is_usage()); // this thread has it
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// * [`is_poisoned`](crate::Error::is_poisoned): a process died, or a thread panicked, with the
    ///   mutex. It is not locked then.
    /// * [`is_usage`](crate::Error::is_usage): this thread has it already.
    /// * [`is_shutdown`](crate::Error::is_shutdown): the runtime ended while another thread had it.
    #[inline]
    pub fn lock(&self) -> Result<SharedMutexGuard<'_, T>> {
        let holder = self.protected.cell.this_thread();
        match self.raw.try_lock(holder) {
            Ok(Acquired::Clean) => Ok(self.guard(holder, None)),
            other => self.lock_after(holder, other),
        }
    }

    /// Locks a mutex that was not free at the first try.
    #[cold]
    fn lock_after(
        &self,
        holder: Holder,
        first: Result<Acquired, LockError>,
    ) -> Result<SharedMutexGuard<'_, T>> {
        match first {
            Ok(acquired) => checked(WHAT, Ok(self.guard(holder, acquired.cause()))),
            Err(_) => checked(WHAT, self.acquire(None)),
        }
    }

    /// Locks the mutex. Blocks for up to `limit` while another thread has it.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let value = rt.shared_mutex(1)?;
    /// let guard = value.lock()?;
    /// std::thread::scope(|scope| {
    ///     let other = scope.spawn(|| value.lock_timeout(Duration::from_millis(5)).map(drop));
    ///     assert!(other.join().unwrap().unwrap_err().is_timeout());
    /// });
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`lock`](Self::lock), and [`is_timeout`](crate::Error::is_timeout).
    pub fn lock_timeout(&self, limit: Duration) -> Result<SharedMutexGuard<'_, T>> {
        checked(WHAT, self.acquire(Some(limit)))
    }

    /// Locks the mutex if that needs no waiting. Returns `None` if another thread has it.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let value = rt.shared_mutex(1)?;
    /// let guard = value.try_lock()?.unwrap();
    /// std::thread::scope(|scope| {
    ///     let other = scope.spawn(|| value.try_lock().map(|guard| guard.is_some()));
    ///     assert!(!other.join().unwrap().unwrap());
    /// });
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`lock`](Self::lock).
    pub fn try_lock(&self) -> Result<Option<SharedMutexGuard<'_, T>>> {
        let holder = self.protected.cell.this_thread();
        match self.raw.try_lock(holder) {
            Ok(acquired) => checked(WHAT, Ok(self.guard(holder, acquired.cause()))).map(Some),
            Err(LockError::Busy) => Ok(None),
            Err(error) => Err(not_acquired(WHAT, error)),
        }
    }

    /// Locks the mutex, poisoned or not. The guard says which. Blocks while another thread has it.
    ///
    /// # Examples
    /// ```
    /// use mobula::{SharedMutex, prelude::*};
    ///
    /// #[remote]
    /// fn fails(value: &SharedMutex<u64>) {
    ///     let mut value = value.lock().unwrap();
    ///     *value = 2;
    ///     panic!("half done");
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let value = rt.shared_mutex(1_u64)?;
    /// assert!(rt.spawn(fails::remote(&value)).get().unwrap_err().is_panic());
    /// assert!(value.lock().unwrap_err().is_poisoned());
    /// let mut guard = value.lock_ignoring_poison()?;
    /// assert!(guard.poison().is_some());
    /// *guard = 1; // mends the value
    /// guard.clear_poison();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_usage()`: this thread has it already. `is_shutdown()`: the runtime ended while another
    /// thread had it.
    pub fn lock_ignoring_poison(&self) -> Result<SharedMutexGuard<'_, T>> {
        self.acquire(None)
    }

    /// Locks the mutex, for asynchronous code. The guard may be held across `.await` and go to
    /// other threads. A task that locks twice waits for itself.
    ///
    /// The future takes the mutex when it is polled, and at no other time. A future that is woken
    /// and not polled within 1 ms lets others go first. This time doubles up to 16 ms for a future
    /// that often comes too late. A dropped future does not wait any longer. One thread of the
    /// process waits for all futures, as long as they wait for no more than 127 locks.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # #[mobula::main]
    /// # async fn main() -> mobula::Result<()> {
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let value = rt.shared_mutex(1_u64)?;
    /// let mut guard = value.lock_async().await?;
    /// tokio::task::yield_now().await; // keeps the mutex locked
    /// guard.with(|value| *value += 1);
    /// drop(guard);
    /// assert_eq!(*value.lock()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// * `is_poisoned()`, `is_shutdown()`.
    /// * [`is_resource_limit`](crate::Error::is_resource_limit): there is no such thread yet, and
    ///   the system refuses to start one.
    pub async fn lock_async(&self) -> Result<OwnedMutexGuard<T>> {
        let take = |holder| self.raw.try_lock(holder);
        let poll = |holder, wait: &mut _, waker: &_| self.raw.poll_lock(holder, wait, waker);
        let (holder, acquired) = acquire(WHAT, &self.protected.cell, take, poll).await?;
        let held = HeldByFuture::new(&self.raw, &self.protected, holder);
        unless_poisoned(WHAT, OwnedMutexGuard { held }, acquired.cause())
    }

    /// Returns how a process died, or a thread panicked, with the mutex since the last
    /// `clear_poison`. `None` if none has.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let value = rt.shared_mutex(1_u64)?;
    /// assert_eq!(value.poison(), None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn poison(&self) -> Option<String> {
        self.raw.poison().map(|cause| cause.to_string())
    }

    fn acquire(&self, limit: Option<Duration>) -> Result<SharedMutexGuard<'_, T>> {
        let take = |holder, waiting: Waiting<'_>| self.raw.lock(holder, waiting);
        let (holder, cause) = self.protected.cell.acquire(WHAT, limit, take)?;
        Ok(self.guard(holder, cause))
    }

    #[inline]
    fn guard(&self, holder: Holder, cause: Option<Cause>) -> SharedMutexGuard<'_, T> {
        SharedMutexGuard {
            held: Held::new(&self.raw, &self.protected, holder, cause),
            on_its_thread: PhantomData,
        }
    }
}

impl Runtime {
    /// Makes a mutex between processes over one value.
    ///
    /// # Examples
    /// ```
    /// use mobula::{SharedMutex, prelude::*};
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let best: SharedMutex<f64> = rt.shared_mutex(f64::INFINITY)?;
    /// let mut guard = best.lock()?;
    /// *guard = guard.min(3.0);
    /// assert_eq!(*guard, 3.0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`is_store_full`](crate::Error::is_store_full) when there is no room, `is_shutdown` after
    /// the runtime's end.
    pub fn shared_mutex<T: SharedElement>(&self, value: T) -> Result<SharedMutex<T>> {
        self.shared_mutex_of(&[value])
    }

    /// Makes a mutex between processes over a slice, which begins as a copy of `values`.
    ///
    /// # Examples
    /// ```
    /// use mobula::{SharedMutex, prelude::*};
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let weights: SharedMutex<[f64]> = rt.shared_mutex_slice(&[0.0; 1000])?;
    /// weights.lock()?.iter_mut().for_each(|weight| *weight += 1.0);
    /// assert_eq!(weights.lock()?.iter().sum::<f64>(), 1000.0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`shared_mutex`](Self::shared_mutex).
    pub fn shared_mutex_slice<T: SharedElement>(&self, values: &[T]) -> Result<SharedMutex<[T]>> {
        self.shared_mutex_of(values)
    }

    fn shared_mutex_of<T: SharedData + ?Sized>(
        &self,
        elements: &[T::Element],
    ) -> Result<SharedMutex<T>> {
        let protected = Protected::create(self.engine(), SharedKind::Mutex, LAYOUT, elements)?;
        SharedMutex::of(protected)
    }
}

impl<T: ?Sized> Clone for SharedMutex<T> {
    fn clone(&self) -> SharedMutex<T> {
        SharedMutex {
            protected: self.protected.clone(),
            raw: self.raw.clone(),
        }
    }
}
