//! A lock with one owner and a queue of waiters. It is the mutex, and the lock among the writers of
//! the read-write lock. README: "The raw lock".

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use super::{
    Holder, LockError, NotHolder,
    wait::{Queue, Wait, Waiting, spin},
    word::{FLAGS, STARVING, TURN, WAITERS, belongs_to, is_free},
};
use crate::{
    ids::WorkerId,
    primitive::{Futex, Memory, Word},
};

/// The result of an attempt to enter.
pub(super) enum Look {
    Taken,
    Recursive,
    /// The lock cannot be taken now. This is its word.
    Closed(u64),
}

/// A raw lock: the word at `word`, and the futex at `futex`.
#[derive(Clone, Debug)]
pub(super) struct RawLock<M> {
    memory: M,
    word: usize,
    futex: usize,
}

impl<M: Memory> RawLock<M> {
    pub(super) fn new(memory: M, word: usize, futex: usize) -> RawLock<M> {
        assert!(word < memory.words().len(), "a lock outside the memory");
        memory.futex(futex);
        RawLock {
            memory,
            word,
            futex,
        }
    }

    #[inline]
    pub(super) fn memory(&self) -> &M {
        &self.memory
    }

    #[inline]
    pub(super) fn word(&self) -> &M::Word {
        &self.memory.words()[self.word]
    }

    pub(super) fn queue(&self) -> Queue<'_, M> {
        Queue {
            memory: &self.memory,
            at: self.futex,
        }
    }

    #[inline]
    pub(super) fn is_owned_by(&self, holder: Holder) -> bool {
        self.word().load(Relaxed) & !FLAGS == holder.word()
    }

    #[inline]
    pub(super) fn try_take(&self, holder: Holder) -> Result<(), LockError> {
        let Err(found) = self.word().exchange(0, holder.word(), AcqRel) else {
            return Ok(());
        };
        match self.enter(found, holder, false, false) {
            Look::Taken => Ok(()),
            Look::Recursive => Err(LockError::Recursive),
            Look::Closed(_) => Err(LockError::Busy),
        }
    }

    #[inline]
    pub(super) fn take(&self, holder: Holder, waiting: Waiting<'_>) -> Result<(), LockError> {
        match self.word().exchange(0, holder.word(), AcqRel) {
            Ok(()) => Ok(()),
            Err(_) => self.take_later(holder, waiting),
        }
    }

    #[cold]
    fn take_later(&self, holder: Holder, waiting: Waiting<'_>) -> Result<(), LockError> {
        let mut wait = Wait::until(waiting);
        let mut starving = false;
        let look = |wait: &Wait<'_>, starving| {
            let word = self.word().load(Acquire);
            self.enter(word, holder, wait.slept, starving)
        };
        loop {
            let mut seen = look(&wait, starving);
            // No thread spins if others sleep already, since it would only be one more waiter.
            spin(|| match seen {
                Look::Closed(word) if word & WAITERS == 0 => {
                    seen = look(&wait, starving);
                    matches!(seen, Look::Taken)
                }
                _ => true,
            });
            // README: read before the word, so a release that this thread does not see ends the
            // sleep.
            let seq = self.queue().futex().load(Acquire);
            if let Look::Closed(_) = seen {
                seen = look(&wait, starving);
            }
            let word = match seen {
                Look::Taken => return Ok(()),
                Look::Recursive => return Err(LockError::Recursive),
                Look::Closed(word) => word,
            };
            let left = match wait.left() {
                Ok(left) => left,
                Err(error) => return self.give_up(holder, &wait, starving, error),
            };
            starving |= wait.is_long();
            let announced = word | WAITERS | if starving { STARVING } else { 0 };
            if announced == word || self.word().exchange(word, announced, AcqRel).is_ok() {
                let slept = wait.sleep(self.queue(), seq, left, || self.step_aside(starving));
                if let Err(error) = slept {
                    return self.give_up(holder, &wait, starving, error);
                }
                starving &= !wait.stepped_aside();
            }
        }
    }

    /// Lets others go first, for a waiter that has slept and cannot check before it has its turn.
    /// Its wake-up must not be lost: if the raw lock is open, another waiter is woken in its place.
    /// README: "Turns".
    pub(super) fn step_aside(&self, starving: bool) {
        let mut word = self.word().load(Acquire);
        loop {
            let passed_on = is_free(word) && word & TURN == 0;
            let mut new = match passed_on {
                // Like an unlock.
                true => word & !WAITERS,
                // A thread will open it, or end the turn of the reader, and wake a waiter.
                false => word | WAITERS,
            };
            if starving {
                new &= !STARVING;
            }
            match self.word().exchange(word, new, AcqRel) {
                Ok(()) if passed_on => return self.wake_one(),
                Ok(()) => return,
                Err(found) => word = found,
            }
        }
    }

    /// Takes the raw lock if it has no owner and no other thread must have it before this one.
    pub(super) fn enter(&self, mut word: u64, holder: Holder, slept: bool, starving: bool) -> Look {
        loop {
            if holder.is_this_thread(word & !FLAGS) {
                return Look::Recursive;
            }
            if !is_free(word) || word & TURN != 0 || (word & STARVING != 0 && !slept) {
                return Look::Closed(word);
            }
            let mut new = holder.word() | word & FLAGS;
            if starving {
                new &= !STARVING;
            }
            if slept {
                // Others may still sleep. The woken thread is responsible for them.
                new |= WAITERS;
            }
            match self.word().exchange(word, new, AcqRel) {
                Ok(()) => return Look::Taken,
                Err(found) => word = found,
            }
        }
    }

    /// Ends a wait, for example after its deadline. The wake-up of this waiter must not be lost. If
    /// it does not get in, the word keeps `WAITERS`, so a later release wakes another waiter.
    fn give_up(
        &self,
        holder: Holder,
        wait: &Wait<'_>,
        starving: bool,
        why: LockError,
    ) -> Result<(), LockError> {
        if !wait.slept {
            return Err(why);
        }
        loop {
            let word = self.word().load(Acquire);
            match self.enter(word, holder, true, starving) {
                Look::Taken => return Ok(()),
                Look::Recursive => return Err(LockError::Recursive),
                Look::Closed(word) => {
                    let left = (word | WAITERS) & if starving { !STARVING } else { !0 };
                    if self.word().exchange(word, left, AcqRel).is_ok() {
                        return Err(why);
                    }
                }
            }
        }
    }

    /// Opens the raw lock, and wakes a waiter. Returns the flags that it has removed.
    #[inline]
    pub(super) fn release(&self, holder: Holder) -> Result<u64, NotHolder> {
        match self.word().exchange(holder.word(), 0, AcqRel) {
            Ok(()) => Ok(0),
            Err(found) => self.release_flagged(found, holder),
        }
    }

    #[cold]
    fn release_flagged(&self, mut word: u64, holder: Holder) -> Result<u64, NotHolder> {
        while word & !FLAGS == holder.word() {
            // The reader that waits for its turn wakes the queue afterwards.
            let keep = if word & TURN != 0 {
                TURN | STARVING | WAITERS
            } else {
                STARVING
            };
            match self.word().exchange(word, word & keep, AcqRel) {
                Ok(()) => {
                    let taken = word & FLAGS & !keep;
                    if taken & WAITERS != 0 {
                        self.wake_one();
                    }
                    return Ok(taken);
                }
                Err(found) => word = found,
            }
        }
        Err(NotHolder)
    }

    /// Ends the turn of a reader that has had it or does not want it any more. Writers may enter
    /// again.
    pub(super) fn end_turn(&self) {
        let mut word = self.word().load(Relaxed);
        loop {
            let take = if is_free(word) { TURN | WAITERS } else { TURN };
            match self.word().exchange(word, word & !take, AcqRel) {
                Ok(()) if word & take & WAITERS != 0 => return self.wake_one(),
                Ok(()) => return,
                Err(found) => word = found,
            }
        }
    }

    fn wake_one(&self) {
        self.queue().futex().increment();
        self.queue().futex().wake_one();
    }

    /// Recovers the lock after the death of a process. If that process was the owner, calls `reap`
    /// with the word, and then the lock has no owner. In any case, a barring that the process may
    /// have asked for ends. All waiters are woken and check again, since the process may have died
    /// before it woke them or after it was woken. Returns whether the process was the owner.
    pub(super) fn recover(&self, dead: WorkerId, mut reap: impl FnMut(u64)) -> bool {
        let mut word = self.word().load(Acquire);
        let owned = loop {
            let owned = belongs_to(word, dead);
            let new = if owned || is_free(word) {
                0
            } else {
                word & !(STARVING | TURN)
            };
            if owned {
                reap(word);
            }
            match self.word().exchange(word, new, AcqRel) {
                Ok(()) => break owned,
                Err(found) => word = found,
            }
        };
        self.queue().futex().increment();
        self.queue().futex().wake();
        owned
    }
}
