//! A mutex that is locked.

use std::{
    marker::PhantomData,
    ops::{Deref, DerefMut},
    thread,
};

use mobula_protocol::sync::{Acquired, Cause, Holder, RawMutex};
use mobula_store::LentRef;

use super::{
    super::{cell::CellMemory, data::SharedData, errors::Caused, protected::guards},
    SharedMutex,
};

/// A locked [`SharedMutex`], which dereferences to its value. It unlocks when it is dropped, on the
/// thread that locked.
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
    pub(super) mutex: &'m SharedMutex<T>,
    /// The data. It is `Some`, since the mutex's memory was checked when the mutex was made.
    pub(super) data: Option<LentRef<'m, T::Element>>,
    pub(super) holder: Holder,
    pub(super) cause: Option<Cause>,
    /// Whether the thread was panicking when it locked.
    pub(super) panicking: bool,
    pub(super) on_its_thread: PhantomData<*const ()>,
}

impl<'m, T: SharedData + ?Sized> SharedMutexGuard<'m, T> {
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
        self.cause.map(|cause| cause.to_string())
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
        self.mutex.raw.clear_poison();
        self.cause = None;
    }

    pub(in super::super) fn raw(&self) -> &RawMutex<CellMemory> {
        &self.mutex.raw
    }

    pub(in super::super) fn holder(&self) -> Holder {
        self.holder
    }

    /// Records the poison after a wait in which others had the mutex.
    pub(in super::super) fn acquired_again(&mut self, acquired: Acquired) {
        self.cause = acquired.cause();
    }
}

impl<T: SharedData + ?Sized> Deref for SharedMutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        T::of(self.data.as_deref().unwrap_or(&[]))
    }
}

impl<T: SharedData + ?Sized> DerefMut for SharedMutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        T::of_mut(self.data.as_deref_mut().unwrap_or(&mut []))
    }
}

impl<T: SharedData + ?Sized> Drop for SharedMutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let raw = &self.mutex.raw;
        let _ = match !self.panicking && thread::panicking() {
            true => raw.unlock_poisoned(self.holder),
            false => raw.unlock(self.holder),
        };
    }
}

/// A locked [`SharedMutex`] that may be held across `.await` and go to other threads.
/// [`SharedMutex::lock_async`] returns it.
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
    pub(super) mutex: SharedMutex<T>,
    pub(super) holder: Holder,
    /// Whether the thread was panicking when it locked.
    pub(super) panicking: bool,
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
        let mut data = self.mutex.protected.lent();
        f(T::of_mut(data.as_deref_mut().unwrap_or(&mut [])))
    }
}

impl<T: SharedData + ?Sized> Drop for OwnedMutexGuard<T> {
    fn drop(&mut self) {
        let raw = &self.mutex.raw;
        let _ = match !self.panicking && thread::panicking() {
            true => raw.unlock_poisoned(self.holder),
            false => raw.unlock(self.holder),
        };
    }
}

guards! {
    here: SharedMutexGuard;
    anywhere: OwnedMutexGuard;
}
