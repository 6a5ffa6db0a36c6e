//! One writer or many readers, between processes.

mod guards;
mod readers;
mod reads_here;

use std::{marker::PhantomData, sync::Arc, time::Duration};

use mobula_protocol::{
    Result, SharedKind,
    sync::{Acquired, Cause, Holder, LocalReaders, LockError, RawRwLock, Waiting},
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
use readers::{LockNumber, readers_of};
use reads_here::ReadsHere;

pub use guards::{OwnedReadGuard, OwnedWriteGuard, SharedReadGuard, SharedWriteGuard};

const LAYOUT: Layout = Layout {
    words: RawRwLock::<CellMemory>::WORDS,
    futexes: RawRwLock::<CellMemory>::FUTEXES,
};

const WHAT: &str = "the shared lock";

/// A value in shared memory that one thread of all processes writes, or any number read.
///
/// Handles, errors and guards are those of a [`SharedMutex`](crate::SharedMutex). A writer that
/// dies or panics poisons the lock, readers do not. New readers wait when a writer does. A thread
/// that reads cannot read again, or write, before it has dropped its guard. It could wait for
/// itself, so that is an error.
///
/// # Examples
/// ```
/// use mobula::{SharedRwLock, prelude::*};
///
/// #[remote]
/// fn total(table: &SharedRwLock<[u64]>) -> mobula::Result<u64> {
///     Ok(table.read()?.iter().sum())
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// let rt = Runtime::start()?;
/// let table = rt.shared_rwlock_slice(&[1_u64, 2, 3])?;
/// table.write()?[0] = 10;
/// assert_eq!(total::remote(&table).spawn().get()?, 15);
/// # Ok(())
/// # }
/// ```
pub struct SharedRwLock<T: ?Sized> {
    protected: Protected<T>,
    raw: RawRwLock<CellMemory>,
    readers: Arc<LocalReaders>,
    number: LockNumber,
}

lock_over_data!(SharedRwLock, SharedKind::RwLock, LAYOUT);

impl<T: SharedData + ?Sized> SharedRwLock<T> {
    fn of(protected: Protected<T>) -> Result<SharedRwLock<T>> {
        let (readers, number) = readers_of(&protected.cell)?;
        Ok(SharedRwLock {
            raw: RawRwLock::new(protected.cell.memory.clone(), 0, 0),
            readers,
            number,
            protected,
        })
    }

    /// Locks it for reading. Blocks while a thread writes, or waits to write.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let value = rt.shared_rwlock(7)?;
    /// let guard = value.read()?;
    /// assert_eq!(*guard, 7);
    /// assert!(value.read().unwrap_err().is_usage()); // this thread reads already
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// * [`is_poisoned`](crate::Error::is_poisoned): a writer died or panicked. The lock is not
    ///   locked then.
    /// * [`is_usage`](crate::Error::is_usage): this thread reads or writes it already.
    /// * [`is_shutdown`](crate::Error::is_shutdown): the runtime ended while another thread wrote.
    #[inline]
    pub fn read(&self) -> Result<SharedReadGuard<'_, T>> {
        let here = self.begin_read()?;
        let holder = self.protected.cell.this_thread();
        match self.raw.try_read(holder, &self.readers) {
            Ok(Acquired::Clean) => Ok(self.reading(here, holder, None)),
            other => self.read_after(here, holder, other),
        }
    }

    /// Locks for reading a lock that was not free for readers at the first try.
    #[cold]
    fn read_after(
        &self,
        here: ReadsHere,
        holder: Holder,
        first: Result<Acquired, LockError>,
    ) -> Result<SharedReadGuard<'_, T>> {
        match first {
            Ok(acquired) => checked(WHAT, Ok(self.reading(here, holder, acquired.cause()))),
            Err(_) => checked(WHAT, self.acquire_read(here, None)),
        }
    }

    #[inline]
    fn begin_read(&self) -> Result<ReadsHere> {
        ReadsHere::begin(self.number).map_err(|error| not_acquired(WHAT, error))
    }

    #[inline]
    fn reading(
        &self,
        here: ReadsHere,
        holder: Holder,
        cause: Option<Cause>,
    ) -> SharedReadGuard<'_, T> {
        SharedReadGuard {
            lock: self,
            data: self.protected.shared(),
            holder,
            cause,
            _here: here,
        }
    }

    /// Locks it for reading. Blocks for up to `limit` while a thread writes, or waits to write.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let value = rt.shared_rwlock(7)?;
    /// let guard = value.write()?;
    /// std::thread::scope(|scope| {
    ///     let other = scope.spawn(|| value.read_timeout(Duration::from_millis(5)).map(drop));
    ///     assert!(other.join().unwrap().unwrap_err().is_timeout());
    /// });
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`read`](Self::read), and [`is_timeout`](crate::Error::is_timeout).
    pub fn read_timeout(&self, limit: Duration) -> Result<SharedReadGuard<'_, T>> {
        checked(WHAT, self.acquire_read(self.begin_read()?, Some(limit)))
    }

    /// Locks it for reading, poisoned or not. The guard says which.
    ///
    /// # Examples
    /// ```
    /// use mobula::{SharedRwLock, prelude::*};
    ///
    /// #[remote]
    /// fn fails(value: &SharedRwLock<u64>) {
    ///     let mut value = value.write().unwrap();
    ///     *value = 2;
    ///     panic!("half done");
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let value = rt.shared_rwlock(1_u64)?;
    /// rt.spawn(fails::remote(&value)).wait().unwrap_err();
    /// assert!(value.read().unwrap_err().is_poisoned());
    /// assert_eq!(*value.read_ignoring_poison()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_usage()`: this thread reads or writes it already. `is_shutdown()`: the runtime ended
    /// while another thread wrote.
    pub fn read_ignoring_poison(&self) -> Result<SharedReadGuard<'_, T>> {
        self.acquire_read(self.begin_read()?, None)
    }

    /// Locks it for writing. Blocks while others read or write.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let value = rt.shared_rwlock(7)?;
    /// *value.write()? += 1;
    /// assert_eq!(*value.read()?, 8);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`read`](Self::read).
    pub fn write(&self) -> Result<SharedWriteGuard<'_, T>> {
        checked(WHAT, self.acquire_write(None))
    }

    /// Locks it for writing. Blocks for up to `limit` while others read or write.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let value = rt.shared_rwlock(7)?;
    /// let guard = value.read()?;
    /// std::thread::scope(|scope| {
    ///     let other = scope.spawn(|| value.write_timeout(Duration::from_millis(5)).map(drop));
    ///     assert!(other.join().unwrap().unwrap_err().is_timeout());
    /// });
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`read`](Self::read), and [`is_timeout`](crate::Error::is_timeout).
    pub fn write_timeout(&self, limit: Duration) -> Result<SharedWriteGuard<'_, T>> {
        checked(WHAT, self.acquire_write(Some(limit)))
    }

    /// Locks it for writing, poisoned or not. The guard says which.
    ///
    /// # Examples
    /// ```
    /// use mobula::{SharedRwLock, prelude::*};
    ///
    /// #[remote]
    /// fn fails(value: &SharedRwLock<u64>) {
    ///     let mut value = value.write().unwrap();
    ///     *value = 2;
    ///     panic!("half done");
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let value = rt.shared_rwlock(1_u64)?;
    /// rt.spawn(fails::remote(&value)).wait().unwrap_err();
    /// let mut guard = value.write_ignoring_poison()?;
    /// *guard = 1; // mends the value
    /// guard.clear_poison();
    /// drop(guard);
    /// assert_eq!(*value.read()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_usage()`: this thread reads or writes it already. `is_shutdown()`: the runtime ended
    /// while others had it.
    pub fn write_ignoring_poison(&self) -> Result<SharedWriteGuard<'_, T>> {
        self.acquire_write(None)
    }

    /// Locks it for reading, for asynchronous code; see
    /// [`SharedMutex::lock_async`](crate::SharedMutex::lock_async).
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # #[mobula::main]
    /// # async fn main() -> mobula::Result<()> {
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let value = rt.shared_rwlock(7_u64)?;
    /// let (one, two) = (value.read_async().await?, value.read_async().await?);
    /// assert_eq!(one.with(|n| *n) + two.with(|n| *n), 14);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_poisoned()`, `is_shutdown()`, `is_resource_limit()`.
    pub async fn read_async(&self) -> Result<OwnedReadGuard<T>> {
        let (raw, readers) = (&self.raw, &self.readers);
        let take = |holder| raw.try_read(holder, readers);
        let poll = |holder, wait: &mut _, waker: &_| raw.poll_read(holder, readers, wait, waker);
        let (holder, acquired) = acquire(WHAT, &self.protected.cell, take, poll).await?;
        let lock = self.clone();
        unless_poisoned(WHAT, OwnedReadGuard { lock, holder }, acquired.cause())
    }

    /// Locks it for writing, for asynchronous code; see
    /// [`SharedMutex::lock_async`](crate::SharedMutex::lock_async).
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # #[mobula::main]
    /// # async fn main() -> mobula::Result<()> {
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let value = rt.shared_rwlock(7_u64)?;
    /// value.write_async().await?.with(|n| *n += 1);
    /// assert_eq!(value.read_async().await?.with(|n| *n), 8);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_poisoned()`, `is_shutdown()`, `is_resource_limit()`.
    pub async fn write_async(&self) -> Result<OwnedWriteGuard<T>> {
        let take = |holder| self.raw.try_write(holder);
        let poll = |holder, wait: &mut _, waker: &_| self.raw.poll_write(holder, wait, waker);
        let (holder, acquired) = acquire(WHAT, &self.protected.cell, take, poll).await?;
        let held = HeldByFuture::new(&self.raw, &self.protected, holder);
        unless_poisoned(WHAT, OwnedWriteGuard { held }, acquired.cause())
    }

    /// Returns how a writer died or panicked since the last `clear_poison`. `None` if none has.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.shared_rwlock(7)?.poison(), None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn poison(&self) -> Option<String> {
        self.raw.poison().map(|cause| cause.to_string())
    }

    fn acquire_read(
        &self,
        here: ReadsHere,
        limit: Option<Duration>,
    ) -> Result<SharedReadGuard<'_, T>> {
        let take = |holder, waiting: Waiting<'_>| self.raw.read(holder, &self.readers, waiting);
        let (holder, cause) = self.protected.cell.acquire(WHAT, limit, take)?;
        Ok(self.reading(here, holder, cause))
    }

    fn acquire_write(&self, limit: Option<Duration>) -> Result<SharedWriteGuard<'_, T>> {
        ReadsHere::none(self.number).map_err(|error| not_acquired(WHAT, error))?;
        let take = |holder, waiting: Waiting<'_>| self.raw.write(holder, waiting);
        let (holder, cause) = self.protected.cell.acquire(WHAT, limit, take)?;
        Ok(SharedWriteGuard {
            held: Held::new(&self.raw, &self.protected, holder, cause),
            on_its_thread: PhantomData,
        })
    }
}

impl Runtime {
    /// Makes a lock between processes over one value, for one writer or many readers.
    ///
    /// # Examples
    /// ```
    /// use mobula::{SharedRwLock, prelude::*};
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let level: SharedRwLock<u32> = rt.shared_rwlock(1)?;
    /// *level.write()? = 2;
    /// assert_eq!(*level.read()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`is_store_full`](crate::Error::is_store_full) when there is no room, `is_shutdown` after
    /// the runtime's end.
    pub fn shared_rwlock<T: SharedElement>(&self, value: T) -> Result<SharedRwLock<T>> {
        self.shared_rwlock_of(&[value])
    }

    /// Makes a lock for one writer or many readers over a slice, which begins as a copy of
    /// `values`.
    ///
    /// # Examples
    /// ```
    /// use mobula::{SharedRwLock, prelude::*};
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let table: SharedRwLock<[u32]> = rt.shared_rwlock_slice(&[1, 2, 3])?;
    /// table.write()?[2] = 30;
    /// assert_eq!(table.read()?.iter().sum::<u32>(), 33);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`shared_rwlock`](Self::shared_rwlock).
    pub fn shared_rwlock_slice<T: SharedElement>(&self, values: &[T]) -> Result<SharedRwLock<[T]>> {
        self.shared_rwlock_of(values)
    }

    fn shared_rwlock_of<T: SharedData + ?Sized>(
        &self,
        elements: &[T::Element],
    ) -> Result<SharedRwLock<T>> {
        let protected = Protected::create(self.engine(), SharedKind::RwLock, LAYOUT, elements)?;
        SharedRwLock::of(protected)
    }
}

impl<T: ?Sized> Clone for SharedRwLock<T> {
    fn clone(&self) -> SharedRwLock<T> {
        SharedRwLock {
            protected: self.protected.clone(),
            raw: self.raw.clone(),
            readers: self.readers.clone(),
            number: self.number,
        }
    }
}
