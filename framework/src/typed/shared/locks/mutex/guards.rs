//! A mutex that is locked.

use std::marker::PhantomData;

use mobula_protocol::sync::{Cause, RawMutex};

use super::super::{
    cell::CellMemory, data::SharedData, errors::Caused, exclusive, protected::guards,
};

/// A locked [`SharedMutex`](crate::SharedMutex), which dereferences to its value. It unlocks when
/// it is dropped, on the thread that locked.
///
/// # Examples
/// ```
/// use mobula::{SharedMutexGuard, prelude::*};
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let counts = rt.shared_mutex([0_u32; 4])?;
/// let mut guard: SharedMutexGuard<'_, [u32; 4]> = counts.lock()?;
/// guard[0] += 1;
/// drop(guard); // unlocks
/// assert_eq!(*counts.lock()?, [1, 0, 0, 0]);
/// # Ok(())
/// # }
/// ```
#[must_use = "the mutex is unlocked when the guard is dropped"]
pub struct SharedMutexGuard<'m, T: SharedData + ?Sized> {
    pub(in super::super) held: exclusive::Held<'m, RawMutex<CellMemory>, T>,
    pub(super) on_its_thread: PhantomData<*const ()>,
}

impl<T: SharedData + ?Sized> SharedMutexGuard<'_, T> {
    /// Returns how a process died, or a thread panicked, with the mutex. `None` if it is not
    /// poisoned.
    ///
    /// # Examples
    /// ```
    /// use mobula::{SharedMutex, prelude::*};
    ///
    /// #[remote]
    /// fn fails(value: &SharedMutex<u64>) {
    ///     let _guard = value.lock().unwrap();
    ///     panic!("half done");
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let value = rt.shared_mutex(1_u64)?;
    /// assert_eq!(value.lock()?.poison(), None);
    /// rt.spawn(fails::remote(&value)).wait().unwrap_err();
    /// println!("{}", value.lock_ignoring_poison()?.poison().unwrap());
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
    /// use mobula::{SharedMutex, prelude::*};
    ///
    /// #[remote]
    /// fn fails(value: &SharedMutex<u64>) {
    ///     let _guard = value.lock().unwrap();
    ///     panic!("half done");
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let value = rt.shared_mutex(1_u64)?;
    /// rt.spawn(fails::remote(&value)).wait().unwrap_err();
    /// value.lock_ignoring_poison()?.clear_poison();
    /// assert!(value.lock().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn clear_poison(&mut self) {
        self.held.clear_poison();
    }
}

/// A locked [`SharedMutex`](crate::SharedMutex) that may be held across `.await` and go to other
/// threads. [`SharedMutex::lock_async`](crate::SharedMutex::lock_async) returns it.
///
/// # Examples
/// ```
/// use mobula::{OwnedMutexGuard, prelude::*};
///
/// # #[mobula::main]
/// # async fn main() -> mobula::Result<()> {
/// # let rt = Runtime::builder().workers(1).start()?;
/// let value = rt.shared_mutex(1_u64)?;
/// let guard: OwnedMutexGuard<u64> = value.lock_async().await?;
/// let task = tokio::spawn(async move { drop(guard) }); // unlocks there
/// task.await.unwrap();
/// assert!(value.try_lock()?.is_some());
/// # Ok(())
/// # }
/// ```
#[must_use = "the mutex is unlocked when the guard is dropped"]
pub struct OwnedMutexGuard<T: SharedData + ?Sized> {
    pub(super) held: exclusive::HeldByFuture<RawMutex<CellMemory>, T>,
}

impl<T: SharedData + ?Sized> OwnedMutexGuard<T> {
    /// Calls `f` with the value.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # #[mobula::main]
    /// # async fn main() -> mobula::Result<()> {
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let value = rt.shared_mutex(1_u64)?;
    /// let before = value.lock_async().await?.with(|value| std::mem::replace(value, 5));
    /// assert_eq!((before, *value.lock()?), (1, 5));
    /// # Ok(())
    /// # }
    /// ```
    pub fn with<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> R {
        self.held.with(f)
    }
}

guards! {
    here: SharedMutexGuard.held;
    anywhere: OwnedMutexGuard;
}
