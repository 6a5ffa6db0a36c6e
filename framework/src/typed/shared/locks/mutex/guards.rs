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

/// A locked [`SharedMutex`]; dereferences to what it protects. It unlocks when it is dropped, on
/// the thread that locked.
#[must_use = "the mutex is unlocked when the guard is dropped"]
pub struct SharedMutexGuard<'m, T: SharedData + ?Sized> {
    pub(super) mutex: &'m SharedMutex<T>,
    /// There: that was checked when the mutex was made.
    pub(super) data: Option<LentRef<'m, T::Element>>,
    pub(super) holder: Holder,
    pub(super) cause: Option<Cause>,
    /// Whether the thread was panicking when it locked.
    pub(super) panicking: bool,
    pub(super) on_its_thread: PhantomData<*const ()>,
}

impl<'m, T: SharedData + ?Sized> SharedMutexGuard<'m, T> {
    /// What had happened to the one who left it poisoned.
    pub fn poison(&self) -> Option<String> {
        self.cause.map(|cause| cause.to_string())
    }

    /// Declares that the value is in order again.
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

    /// After a wait in which others had it.
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
#[must_use = "the mutex is unlocked when the guard is dropped"]
pub struct OwnedMutexGuard<T: SharedData + ?Sized> {
    pub(super) mutex: SharedMutex<T>,
    pub(super) holder: Holder,
    /// Whether the thread was panicking when it locked.
    pub(super) panicking: bool,
}

impl<T: SharedData + ?Sized> OwnedMutexGuard<T> {
    /// Calls `f` with what the mutex protects.
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
