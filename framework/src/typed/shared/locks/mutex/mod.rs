//! Mutual exclusion between processes.

mod guards;

use std::{marker::PhantomData, thread, time::Duration};

use mobula_protocol::{
    Result, SharedKind,
    sync::{Acquired, Cause, Holder, LockError, RawMutex},
};

use super::{
    cell::{CellMemory, Layout},
    data::SharedData,
    errors::{checked, not_acquired, unless_poisoned},
    protected::{Protected, lock_over_data},
    waiting::acquired,
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
/// A clone is the same mutex, and so is what arrives in a task or comes out of a value.
///
/// * Locking one that nobody else wants costs two atomic operations, without a system call. Who has
///   waited for a millisecond gets it before those who come later.
/// * When a process dies with it, or a thread panics, the next one gets an error for which
///   [`is_poisoned`](crate::Error::is_poisoned) holds and that says which process died and how;
///   [`lock_anyway`](Self::lock_anyway) gives the value nevertheless. Nobody hangs.
/// * A task that waits for it lets other tasks run on its worker meanwhile.
/// * Guards stay on their thread. For asynchronous code there is [`lock_async`](Self::lock_async),
///   whose guard may be held across `.await`.
///
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

    /// Locks it. Blocks while another has it.
    ///
    /// # Errors
    /// [`is_poisoned`](crate::Error::is_poisoned): somebody died or panicked with it; it is not
    /// locked then. [`is_usage`](crate::Error::is_usage): this thread has it already.
    /// [`is_shutdown`](crate::Error::is_shutdown): the runtime ended while another had it.
    #[inline]
    pub fn lock(&self) -> Result<SharedMutexGuard<'_, T>> {
        let holder = self.protected.cell.this_thread();
        match self.raw.try_lock(holder) {
            Ok(Acquired::Clean) => Ok(self.guard(holder, None)),
            other => self.lock_after(holder, other),
        }
    }

    /// What is to be done where the mutex was not just free.
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

    /// As [`lock`](Self::lock), for at most this long.
    ///
    /// # Errors
    /// As for `lock`, and [`is_timeout`](crate::Error::is_timeout).
    pub fn lock_timeout(&self, limit: Duration) -> Result<SharedMutexGuard<'_, T>> {
        checked(WHAT, self.acquire(Some(limit)))
    }

    /// Locks it if that needs no waiting; `None` if another has it.
    ///
    /// # Errors
    /// As for [`lock`](Self::lock).
    pub fn try_lock(&self) -> Result<Option<SharedMutexGuard<'_, T>>> {
        let holder = self.protected.cell.this_thread();
        match self.raw.try_lock(holder) {
            Ok(acquired) => checked(WHAT, Ok(self.guard(holder, acquired.cause()))).map(Some),
            Err(LockError::Busy) => Ok(None),
            Err(error) => Err(not_acquired(WHAT, error)),
        }
    }

    /// As [`lock`](Self::lock), whether it is poisoned or not: the guard says which.
    ///
    /// # Errors
    /// `is_usage()`: this thread has it already. `is_shutdown()`.
    pub fn lock_anyway(&self) -> Result<SharedMutexGuard<'_, T>> {
        self.acquire(None)
    }

    /// As [`lock`](Self::lock), for asynchronous code. The guard may be held across `.await` and go
    /// to other threads. A task that locks twice waits for itself.
    ///
    /// The mutex is taken when the future is polled, and at no other time. A future that is woken
    /// and not polled within 1 ms lets others go first; this time doubles up to 16 ms for a future
    /// that often comes too late. A dropped future does not wait any longer. One thread of the
    /// process waits for all futures, as long as they wait for no more than 127 locks.
    ///
    /// # Errors
    /// `is_poisoned()`, `is_shutdown()`. [`is_resource_limit`](crate::Error::is_resource_limit):
    /// there is no such thread yet, and the system refuses to start one.
    pub async fn lock_async(&self) -> Result<OwnedMutexGuard<T>> {
        let holder = self.protected.cell.detached();
        let acquired = match self.raw.try_lock(holder) {
            Ok(acquired) => acquired,
            Err(_) => {
                let poll = |wait: &mut _, waker: &_| self.raw.poll_lock(holder, wait, waker);
                acquired(WHAT, &self.protected.cell, poll).await?
            }
        };
        let cause = acquired.cause();
        let guard = OwnedMutexGuard {
            mutex: self.clone(),
            holder,
            panicking: thread::panicking(),
        };
        unless_poisoned(WHAT, guard, cause)
    }

    /// Whether somebody has died or panicked with it since the last `clear_poison`, and how.
    pub fn poison(&self) -> Option<String> {
        self.raw.poison().map(|cause| cause.to_string())
    }

    fn acquire(&self, limit: Option<Duration>) -> Result<SharedMutexGuard<'_, T>> {
        let holder = self.protected.cell.this_thread();
        let cell = &self.protected.cell;
        match self.raw.lock(holder, cell.waiting(limit)) {
            Ok(acquired) => Ok(self.guard(holder, acquired.cause())),
            Err(error) => Err(cell.not_acquired(WHAT, error)),
        }
    }

    #[inline]
    fn guard(&self, holder: Holder, cause: Option<Cause>) -> SharedMutexGuard<'_, T> {
        SharedMutexGuard {
            mutex: self,
            data: self.protected.lent(),
            holder,
            cause,
            panicking: thread::panicking(),
            on_its_thread: PhantomData,
        }
    }
}

impl Runtime {
    /// Makes a mutex between processes over one value.
    ///
    /// # Errors
    /// [`is_store_full`](crate::Error::is_store_full) when there is no room, `is_shutdown` after
    /// the runtime's end.
    pub fn shared_mutex<T: SharedElement>(&self, value: T) -> Result<SharedMutex<T>> {
        self.shared_mutex_of(&[value])
    }

    /// Makes a mutex between processes over a slice, which begins as a copy of `values`.
    ///
    /// # Errors
    /// As for [`shared_mutex`](Self::shared_mutex).
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
