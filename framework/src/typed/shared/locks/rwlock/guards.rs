//! The guards of a lock that is locked for reading or writing.

use std::marker::PhantomData;

use mobula_protocol::sync::{Cause, Holder, RawRwLock};
use mobula_store::SharedRef;

use super::{
    super::{cell::CellMemory, data::SharedData, errors::Caused, exclusive, protected::guards},
    SharedRwLock,
    reads_here::ReadsHere,
};

/// A [`SharedRwLock`] locked for reading, which dereferences to its value.
///
/// # Examples
/// ```
/// use mobula::{SharedReadGuard, prelude::*};
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let value = rt.shared_rwlock(7_u32)?;
/// let guard: SharedReadGuard<'_, u32> = value.read()?;
/// assert_eq!(*guard, 7);
/// # Ok(())
/// # }
/// ```
#[must_use = "the lock is unlocked when the guard is dropped"]
pub struct SharedReadGuard<'l, T: SharedData + ?Sized> {
    pub(super) lock: &'l SharedRwLock<T>,
    /// The data. It is `Some`, since the lock's memory was checked when the lock was made.
    pub(super) data: Option<SharedRef<'l, T::Element>>,
    pub(super) holder: Holder,
    pub(super) cause: Option<Cause>,
    /// Keeps the guard on its thread.
    pub(super) _here: ReadsHere,
}

impl<T: SharedData + ?Sized> SharedReadGuard<'_, T> {
    /// Returns how a writer died or panicked. `None` if the lock is not poisoned.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.shared_rwlock(7)?.read_ignoring_poison()?.poison(), None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn poison(&self) -> Option<String> {
        self.cause.map(|cause| cause.to_string())
    }
}

impl<T: SharedData + ?Sized> Drop for SharedReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let _ = self.lock.raw.unlock_read(self.holder, &self.lock.readers);
    }
}

/// A [`SharedRwLock`] locked for writing, which dereferences to its value.
///
/// # Examples
/// ```
/// use mobula::{SharedWriteGuard, prelude::*};
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let value = rt.shared_rwlock(7_u32)?;
/// let mut guard: SharedWriteGuard<'_, u32> = value.write()?;
/// *guard += 1;
/// assert_eq!(*guard, 8);
/// # Ok(())
/// # }
/// ```
#[must_use = "the lock is unlocked when the guard is dropped"]
pub struct SharedWriteGuard<'l, T: SharedData + ?Sized> {
    pub(super) held: exclusive::Held<'l, RawRwLock<CellMemory>, T>,
    pub(super) on_its_thread: PhantomData<*const ()>,
}

impl<T: SharedData + ?Sized> SharedWriteGuard<'_, T> {
    /// Returns how a writer died or panicked. `None` if the lock is not poisoned.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.shared_rwlock(7)?.write_ignoring_poison()?.poison(), None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn poison(&self) -> Option<String> {
        self.held.cause.map(|cause| cause.to_string())
    }

    /// Declares that the value is in order again.
    ///
    /// # Examples
    /// ```
    /// use mobula::{SharedRwLock, prelude::*};
    ///
    /// #[remote]
    /// fn fails(value: &SharedRwLock<u64>) {
    ///     let _guard = value.write().unwrap();
    ///     panic!("half done");
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let value = rt.shared_rwlock(1_u64)?;
    /// rt.spawn(fails::remote(&value)).wait().unwrap_err();
    /// value.write_ignoring_poison()?.clear_poison();
    /// assert!(value.read().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn clear_poison(&mut self) {
        self.held.clear_poison();
    }
}

/// A [`SharedRwLock`] locked for reading that may be held across `.await`.
/// [`SharedRwLock::read_async`] returns it.
///
/// # Examples
/// ```
/// use mobula::{OwnedReadGuard, prelude::*};
///
/// # #[mobula::main]
/// # async fn main() -> mobula::Result<()> {
/// # let rt = Runtime::builder().workers(1).start()?;
/// let value = rt.shared_rwlock(7_u64)?;
/// let guard: OwnedReadGuard<u64> = value.read_async().await?;
/// tokio::task::yield_now().await;
/// assert_eq!(guard.with(|n| *n), 7);
/// # Ok(())
/// # }
/// ```
#[must_use = "the lock is unlocked when the guard is dropped"]
pub struct OwnedReadGuard<T: SharedData + ?Sized> {
    pub(super) lock: SharedRwLock<T>,
    pub(super) holder: Holder,
}

impl<T: SharedData + ?Sized> OwnedReadGuard<T> {
    /// Calls `f` with the value.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # #[mobula::main]
    /// # async fn main() -> mobula::Result<()> {
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let table = rt.shared_rwlock_slice(&[1, 2, 3])?;
    /// assert_eq!(table.read_async().await?.with(|all| all.len()), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(T::of(
            self.lock.protected.shared().as_deref().unwrap_or(&[]),
        ))
    }
}

impl<T: SharedData + ?Sized> Drop for OwnedReadGuard<T> {
    fn drop(&mut self) {
        let _ = self.lock.raw.unlock_read(self.holder, &self.lock.readers);
    }
}

/// A [`SharedRwLock`] locked for writing that may be held across `.await`.
/// [`SharedRwLock::write_async`] returns it.
///
/// # Examples
/// ```
/// use mobula::{OwnedWriteGuard, prelude::*};
///
/// # #[mobula::main]
/// # async fn main() -> mobula::Result<()> {
/// # let rt = Runtime::builder().workers(1).start()?;
/// let value = rt.shared_rwlock(7_u64)?;
/// let mut guard: OwnedWriteGuard<u64> = value.write_async().await?;
/// tokio::task::yield_now().await;
/// guard.with(|n| *n = 8);
/// drop(guard);
/// assert_eq!(*value.read()?, 8);
/// # Ok(())
/// # }
/// ```
#[must_use = "the lock is unlocked when the guard is dropped"]
pub struct OwnedWriteGuard<T: SharedData + ?Sized> {
    pub(super) held: exclusive::HeldByFuture<RawRwLock<CellMemory>, T>,
}

impl<T: SharedData + ?Sized> OwnedWriteGuard<T> {
    /// Calls `f` with the value.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # #[mobula::main]
    /// # async fn main() -> mobula::Result<()> {
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let table = rt.shared_rwlock_slice(&[1, 2, 3])?;
    /// table.write_async().await?.with(|all| all.reverse());
    /// assert_eq!(*table.read()?, [3, 2, 1]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> R {
        self.held.with(f)
    }
}

guards! {
    here: SharedReadGuard SharedWriteGuard.held;
    anywhere: OwnedReadGuard OwnedWriteGuard;
}
