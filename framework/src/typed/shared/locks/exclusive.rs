//! The common part of guards that have a lock alone.

use std::thread;

use mobula_protocol::sync::{Cause, Exclusive, Holder};
use mobula_store::LentRef;

use super::{data::SharedData, protected::Protected};

/// A lock that a thread holds alone, and its data. It unlocks when it is dropped. The guard around
/// it keeps it on its thread.
pub(super) struct Held<'l, L: Exclusive, T: SharedData + ?Sized> {
    pub(super) raw: &'l L,
    /// The data. It is `Some`, since the lock's memory was checked when the lock was made.
    pub(super) data: Option<LentRef<'l, T::Element>>,
    pub(super) holder: Holder,
    pub(super) cause: Option<Cause>,
    /// Whether the thread was panicking when it locked.
    panicking: bool,
}

impl<'l, L: Exclusive, T: SharedData + ?Sized> Held<'l, L, T> {
    /// Returns the lock `raw` of `protected`, which `holder` has locked.
    #[inline]
    pub(super) fn new(
        raw: &'l L,
        protected: &'l Protected<T>,
        holder: Holder,
        cause: Option<Cause>,
    ) -> Held<'l, L, T> {
        Held {
            raw,
            data: protected.lent(),
            holder,
            cause,
            panicking: thread::panicking(),
        }
    }

    pub(super) fn clear_poison(&mut self) {
        self.raw.clear_poison();
        self.cause = None;
    }
}

impl<L: Exclusive, T: SharedData + ?Sized> Drop for Held<'_, L, T> {
    #[inline]
    fn drop(&mut self) {
        let poisons = !self.panicking && thread::panicking();
        let _ = self.raw.unlock(self.holder, poisons);
    }
}

/// A lock that a future holds alone. It unlocks when it is dropped, on any thread.
pub(super) struct HeldByFuture<L: Exclusive, T: SharedData + ?Sized> {
    raw: L,
    protected: Protected<T>,
    holder: Holder,
    /// Whether the thread was panicking when it locked.
    panicking: bool,
}

impl<L: Exclusive + Clone, T: SharedData + ?Sized> HeldByFuture<L, T> {
    /// Returns the lock `raw` of `protected`, which `holder` has locked.
    pub(super) fn new(raw: &L, protected: &Protected<T>, holder: Holder) -> HeldByFuture<L, T> {
        HeldByFuture {
            raw: raw.clone(),
            protected: protected.clone(),
            holder,
            panicking: thread::panicking(),
        }
    }

    pub(super) fn with<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> R {
        let mut data = self.protected.lent();
        f(T::of_mut(data.as_deref_mut().unwrap_or(&mut [])))
    }
}

impl<L: Exclusive, T: SharedData + ?Sized> Drop for HeldByFuture<L, T> {
    fn drop(&mut self) {
        // The fields, and with them the handle of the lock's memory, are dropped after this.
        let poisons = !self.panicking && thread::panicking();
        let _ = self.raw.unlock(self.holder, poisons);
    }
}
