//! The common part of locks with one holder.

use super::{Cause, Holder, NotHolder, RawMutex, RawRwLock};
use crate::primitive::Memory;

/// A lock that one holder has alone. A read-write lock is one for its writers.
pub trait Exclusive {
    /// Unlocks it. If `poisons`, marks it as poisoned by a panic of this process.
    ///
    /// # Errors
    /// Fails if `holder` does not hold it. Then nothing changes.
    fn unlock(&self, holder: Holder, poisons: bool) -> Result<(), NotHolder>;

    /// Returns the cause of the first death or panic of a holder since the last
    /// [`clear_poison`](Self::clear_poison).
    fn poison(&self) -> Option<Cause>;

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

            fn poison(&self) -> Option<Cause> {
                $lock::poison(self)
            }

            fn clear_poison(&self) {
                $lock::clear_poison(self);
            }
        }
    };
}

exclusive!(RawMutex, unlock, unlock_poisoned);
exclusive!(RawRwLock, unlock_write, unlock_write_poisoned);
