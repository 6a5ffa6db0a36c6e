//! The common part of locks with one holder.

use super::{Holder, NotHolder, RawMutex, RawRwLock};
use crate::primitive::Memory;

/// A lock with at most one holder at a time: a mutex, or a read-write lock that is written.
pub trait Exclusive {
    /// Unlocks it. If `poisons`, marks it as poisoned by a panic of this process.
    ///
    /// # Errors
    /// Fails if `holder` does not hold it. Then nothing changes.
    fn unlock(&self, holder: Holder, poisons: bool) -> Result<(), NotHolder>;

    /// Declares that the protected data is in order again. The caller must hold the lock.
    fn clear_poison(&self);
}

/// Implements the trait with the lock's functions to unlock, without and with poison.
macro_rules! exclusive {
    ($lock:ident, $unlock:ident, $unlock_poisoned:ident) => {
        impl<M: Memory> Exclusive for $lock<M> {
            #[inline]
            fn unlock(&self, holder: Holder, poisons: bool) -> Result<(), NotHolder> {
                match poisons {
                    true => $lock::$unlock_poisoned(self, holder),
                    false => $lock::$unlock(self, holder),
                }
            }

            fn clear_poison(&self) {
                $lock::clear_poison(self);
            }
        }
    };
}

exclusive!(RawMutex, unlock, unlock_poisoned);
exclusive!(RawRwLock, unlock_write, unlock_write_poisoned);
