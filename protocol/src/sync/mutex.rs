//! Mutual exclusion of threads in several processes.

use super::{
    Acquired, Cause, Holder, LockError, NotHolder, Waiting, cause::Poison, raw_lock::RawLock,
};
use crate::{
    ids::WorkerId,
    primitive::{Memory, Region},
};

/// A mutex in shared memory. A clone is the same mutex. README: "The raw lock".
///
/// Locking and unlocking one that nobody else wants is a compare-and-swap each, without a system
/// call. Whoever has waited for a millisecond gets it before those who come later.
#[derive(Clone, Debug)]
pub struct RawMutex<M = Region> {
    raw_lock: RawLock<M>,
    /// The word after the raw lock's.
    poison: usize,
}

impl<M: Memory> RawMutex<M> {
    /// How many 64-bit words it takes. Zero is unlocked, without poison.
    pub const WORDS: usize = 2;
    /// How many futexes it takes. They begin with any value.
    pub const FUTEXES: usize = 1;

    /// The mutex at these words and this futex of `memory`.
    ///
    /// # Panics
    /// If the memory has not got them.
    pub fn new(memory: M, word_at: usize, futex_at: usize) -> RawMutex<M> {
        let poison = word_at + 1;
        assert!(poison < memory.words().len(), "a lock outside the memory");
        let raw_lock = RawLock::new(memory, word_at, futex_at);
        RawMutex { raw_lock, poison }
    }

    /// Takes it if that needs no waiting.
    ///
    /// # Errors
    /// [`LockError::Busy`], also when it is free but promised to somebody who has waited long;
    /// [`LockError::Recursive`].
    #[inline]
    pub fn try_lock(&self, holder: Holder) -> Result<Acquired, LockError> {
        self.raw_lock.try_take(holder)?;
        Ok(Acquired::new(self.poison()))
    }

    /// Takes it, and waits for that as long as `waiting` permits.
    ///
    /// # Errors
    /// [`LockError::TimedOut`], [`LockError::Recursive`], [`LockError::Ended`].
    #[inline]
    pub fn lock<'s>(
        &self,
        holder: Holder,
        waiting: impl Into<Waiting<'s>>,
    ) -> Result<Acquired, LockError> {
        self.raw_lock.take(holder, waiting.into())?;
        Ok(Acquired::new(self.poison()))
    }

    /// Gives it back. Makes a system call if somebody waits, or has waited during the last hold.
    ///
    /// # Errors
    /// When `holder` does not have it. Then nothing changes.
    #[inline]
    pub fn unlock(&self, holder: Holder) -> Result<(), NotHolder> {
        self.raw_lock.release(holder).map(drop)
    }

    /// Gives it back, and has everyone know that this process panicked with it.
    ///
    /// # Errors
    /// As [`unlock`](RawMutex::unlock).
    pub fn unlock_poisoned(&self, holder: Holder) -> Result<(), NotHolder> {
        if !self.raw_lock.is_owned_by(holder) {
            return Err(NotHolder);
        }
        self.poison_word().set(Cause::panic());
        self.unlock(holder)
    }

    /// Whether `holder` has it. Another's answer is out of date at once.
    pub fn is_locked_by(&self, holder: Holder) -> bool {
        self.raw_lock.is_owned_by(holder)
    }

    /// The first that died or panicked with it, since the last
    /// [`clear_poison`](Self::clear_poison).
    #[inline]
    pub fn poison(&self) -> Option<Cause> {
        self.poison_word().get()
    }

    /// Declares that what it protects is in order again. To be called with the mutex held.
    pub fn clear_poison(&self) {
        self.poison_word().clear();
    }

    /// To be called after the process `dead` is known to be dead, for each mutex that it could
    /// reach, before its process slot is given away. Says whether it held this one, which is free
    /// and poisoned then. One system call.
    pub fn recover(&self, dead: WorkerId, cause: Cause) -> bool {
        self.raw_lock
            .recover(dead, |_| self.poison_word().set(cause))
    }

    pub(super) fn raw_lock(&self) -> &RawLock<M> {
        &self.raw_lock
    }

    #[inline]
    fn poison_word(&self) -> Poison<'_, M::Word> {
        Poison(&self.raw_lock.memory().words()[self.poison])
    }

    /// Whether those who have not waited are barred.
    #[cfg(all(test, not(loom)))]
    pub(super) fn is_promised(&self) -> bool {
        use crate::primitive::Word;
        self.raw_lock
            .word()
            .load(std::sync::atomic::Ordering::SeqCst)
            & super::word::STARVING
            != 0
    }

    /// Whether somebody waits, or has lately.
    #[cfg(all(test, not(loom)))]
    pub(super) fn is_waited_for(&self) -> bool {
        use crate::primitive::Word;
        self.raw_lock
            .word()
            .load(std::sync::atomic::Ordering::SeqCst)
            & super::word::WAITERS
            != 0
    }
}
