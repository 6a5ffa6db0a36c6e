//! The readers of the lock.

use std::sync::atomic::Ordering::{AcqRel, Acquire, SeqCst};

use super::{
    super::{
        Acquired, Holder, LockError, NotHolder, ProcessSlot, Waiting,
        wait::{Wait, spin},
        word::{DRAINING, FLAGS, READERS, TURN, is_free},
    },
    LocalReaders, RawRwLock,
    local::Change,
};
use crate::primitive::{Futex, Memory, Word};

/// The result of an attempt to begin reading.
pub(in super::super) enum ReadAttempt {
    In,
    /// There is a writer. This is its word.
    Closed(u64),
}

impl<M: Memory> RawRwLock<M> {
    /// Begins to read if that needs no waiting. `local` counts the readers of this process in this
    /// lock.
    ///
    /// # Errors
    /// Fails with [`LockError::Busy`], or with [`LockError::Recursive`] if the calling thread
    /// writes.
    #[inline]
    pub fn try_read(
        &self,
        holder: Holder,
        local: &LocalReaders<M::Futex>,
    ) -> Result<Acquired, LockError> {
        match self.enter(holder.slot(), local) {
            ReadAttempt::In => Ok(Acquired::new(self.poison())),
            ReadAttempt::Closed(word) if holder.is_this_thread(word & !FLAGS) => {
                Err(LockError::Recursive)
            }
            ReadAttempt::Closed(_) => Err(LockError::Busy),
        }
    }

    /// Begins to read, and waits as long as `waiting` permits.
    ///
    /// # Errors
    /// Fails with [`LockError::TimedOut`], [`LockError::Ended`], or [`LockError::Recursive`] if the
    /// calling thread writes.
    #[inline]
    pub fn read<'s>(
        &self,
        holder: Holder,
        local: &LocalReaders<M::Futex>,
        waiting: impl Into<Waiting<'s>>,
    ) -> Result<Acquired, LockError> {
        if let ReadAttempt::Closed(_) = self.enter(holder.slot(), local) {
            self.read_later(holder, local, waiting.into())?;
        }
        Ok(Acquired::new(self.poison()))
    }

    #[cold]
    fn read_later(
        &self,
        holder: Holder,
        local: &LocalReaders<M::Futex>,
        waiting: Waiting<'_>,
    ) -> Result<(), LockError> {
        let mut wait = Wait::until(waiting);
        let mut starving = false;
        let end = loop {
            spin(|| is_free(self.raw_lock().word().load(Acquire)));
            let seq = self.entrance().futex().load(Acquire);
            let word = match self.enter(holder.slot(), local) {
                ReadAttempt::In => break Ok(()),
                ReadAttempt::Closed(word) => word,
            };
            if holder.is_this_thread(word & !FLAGS) {
                break Err(LockError::Recursive);
            }
            let left = match wait.left() {
                Ok(left) => left,
                Err(error) => break Err(error),
            };
            starving |= wait.is_long();
            let announced = word | READERS | if starving { TURN } else { 0 };
            let raw_lock = self.raw_lock().word();
            if announced == word || raw_lock.exchange(word, announced, AcqRel).is_ok() {
                // All readers are woken. But no writer may wait for a reader that waits for its
                // turn.
                let aside = || {
                    if starving {
                        self.end_turn();
                    }
                };
                let slept = wait.sleep(self.entrance(), seq, left, aside);
                starving &= !wait.stepped_aside();
                if let Err(error) = slept {
                    break Err(error);
                }
            }
        };
        if starving {
            self.end_turn();
        }
        end
    }

    pub(in super::super) fn enter(
        &self,
        slot: ProcessSlot,
        local: &LocalReaders<M::Futex>,
    ) -> ReadAttempt {
        let word = self.raw_lock().word().load(Acquire);
        if !is_free(word) {
            return ReadAttempt::Closed(word);
        }
        // If others of this process read, nothing else is needed. Their bit keeps writers out until
        // the last reader of the process leaves.
        let Change::Edge = local.join() else {
            return ReadAttempt::In;
        };
        self.processes().insert(slot);
        let word = self.raw_lock().word().load(SeqCst);
        if is_free(word) {
            local.settle(1);
            return ReadAttempt::In;
        }
        let drained = self.withdraw(slot);
        local.settle(0);
        if drained {
            self.wake_writer();
        }
        ReadAttempt::Closed(word)
    }

    /// Ends reading. Makes a system call if a writer waits and this is the last reader.
    ///
    /// # Errors
    /// Fails if no thread of this process reads. Then nothing changes.
    #[inline]
    pub fn unlock_read(
        &self,
        holder: Holder,
        local: &LocalReaders<M::Futex>,
    ) -> Result<(), NotHolder> {
        match local.leave() {
            Change::Among => {}
            Change::None => return Err(NotHolder),
            Change::Edge => {
                let drained = self.withdraw(holder.slot());
                local.settle(0);
                if drained {
                    self.wake_writer();
                }
            }
        }
        Ok(())
    }

    /// Removes the process from the readers. Returns whether a writer sleeps that can now go on.
    #[inline]
    fn withdraw(&self, slot: ProcessSlot) -> bool {
        self.processes().remove(slot);
        self.raw_lock().word().load(SeqCst) & DRAINING != 0 && self.processes().is_empty()
    }
}
