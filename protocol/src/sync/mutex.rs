//! A mutex for threads in several processes.

use super::{
    Acquired, Cause, Holder, LockError, NotHolder, Waiting, cause::Poison, raw_lock::RawLock,
};
use crate::{
    ids::WorkerId,
    primitive::{Memory, Region},
};

/// A mutex in shared memory. A clone is the same mutex. README: "The raw lock".
///
/// Without other threads, a lock and an unlock are a compare-and-swap each, without a system call.
/// A thread that has waited for a millisecond gets the mutex before later threads.
#[derive(Clone, Debug)]
pub struct RawMutex<M = Region> {
    raw_lock: RawLock<M>,
    /// The index of the word for the poison, after the raw lock's word.
    poison: usize,
}

impl<M: Memory> RawMutex<M> {
    /// The number of 64-bit words that it takes. Zero is unlocked, without poison.
    pub const WORDS: usize = 2;
    /// The number of futexes that it takes. They begin with any value.
    pub const FUTEXES: usize = 1;

    /// Returns the mutex at these words and this futex of `memory`.
    ///
    /// # Panics
    /// Panics if they are outside the memory.
    pub fn new(memory: M, word_at: usize, futex_at: usize) -> RawMutex<M> {
        let poison = word_at + 1;
        assert!(poison < memory.words().len(), "a lock outside the memory");
        let raw_lock = RawLock::new(memory, word_at, futex_at);
        RawMutex { raw_lock, poison }
    }

    /// Locks it if that needs no waiting.
    ///
    /// # Errors
    /// Fails with [`LockError::Busy`], also if it is free but promised to a thread that has waited
    /// long. Fails with [`LockError::Recursive`].
    #[inline]
    pub fn try_lock(&self, holder: Holder) -> Result<Acquired, LockError> {
        self.raw_lock.try_take(holder)?;
        Ok(Acquired::new(self.poison()))
    }

    /// Locks it, and waits as long as `waiting` permits.
    ///
    /// # Errors
    /// Fails with [`LockError::TimedOut`], [`LockError::Recursive`] or [`LockError::Ended`].
    #[inline]
    pub fn lock<'s>(
        &self,
        holder: Holder,
        waiting: impl Into<Waiting<'s>>,
    ) -> Result<Acquired, LockError> {
        self.raw_lock.take(holder, waiting.into())?;
        Ok(Acquired::new(self.poison()))
    }

    /// Unlocks it. Makes a system call if a thread waits, or has waited since the last unlock.
    ///
    /// # Errors
    /// Fails if `holder` does not hold it. Then nothing changes.
    #[inline]
    pub fn unlock(&self, holder: Holder) -> Result<(), NotHolder> {
        self.raw_lock.release(holder).map(drop)
    }

    /// Unlocks it, and marks it as poisoned by a panic of this process.
    ///
    /// # Errors
    /// Fails if `holder` does not hold it. Then nothing changes.
    pub fn unlock_poisoned(&self, holder: Holder) -> Result<(), NotHolder> {
        self.poison_by_panic(holder)?;
        self.unlock(holder)
    }

    /// Marks it as poisoned by a panic of this process, if `holder` holds it.
    pub(super) fn poison_by_panic(&self, holder: Holder) -> Result<(), NotHolder> {
        if !self.raw_lock.is_owned_by(holder) {
            return Err(NotHolder);
        }
        self.poison_word().set(Cause::panic());
        Ok(())
    }

    /// Returns whether `holder` holds it. For another holder, the answer may be out of date at
    /// once.
    pub fn is_locked_by(&self, holder: Holder) -> bool {
        self.raw_lock.is_owned_by(holder)
    }

    /// Returns the cause of the first death or panic of a holder since the last
    /// [`clear_poison`](Self::clear_poison).
    #[inline]
    pub fn poison(&self) -> Option<Cause> {
        self.poison_word().get()
    }

    /// Declares that the protected data is in order again. The caller must hold the mutex.
    pub fn clear_poison(&self) {
        self.poison_word().clear();
    }

    /// Must be called after the death of the process `dead`, for each mutex that it could reach,
    /// before its process slot is given away. If `dead` held this mutex, it becomes free and
    /// poisoned. Returns whether that was so. Costs one system call.
    pub fn recover(&self, dead: WorkerId, cause: Cause) -> bool {
        self.raw_lock
            .recover(dead, |_| self.poison_word().set(cause))
    }

    #[inline]
    pub(super) fn raw_lock(&self) -> &RawLock<M> {
        &self.raw_lock
    }

    #[inline]
    pub(super) fn poison_word(&self) -> Poison<'_, M::Word> {
        Poison(&self.raw_lock.memory().words()[self.poison])
    }
}
