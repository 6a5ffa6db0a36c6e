//! One owner at a time, and a queue of those who wait to be the next: what the mutex is, and what
//! the writers of the other lock do among themselves. README: "The raw lock".

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

/// What an attempt to get in has found.
pub(super) enum Look {
    Taken,
    Recursive,
    /// Not now; this is the word.
    Closed(u64),
}

/// The word at `word`, and the futex at `futex`.
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
            // Where others sleep already, nobody spins: that would only be more of us.
            spin(|| match seen {
                Look::Closed(word) if word & WAITERS == 0 => {
                    seen = look(&wait, starving);
                    matches!(seen, Look::Taken)
                }
                _ => true,
            });
            // README: read before the word, so that a release that we do not see ends the sleep.
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

    /// A waiter that has slept cannot look before it has its turn. What it was woken for must not
    /// be lost: if the raw lock is open, another is woken in its place. README: "Turns".
    pub(super) fn step_aside(&self, starving: bool) {
        let mut word = self.word().load(Acquire);
        loop {
            let passed_on = is_free(word) && word & TURN == 0;
            let mut new = match passed_on {
                // As one that unlocks.
                true => word & !WAITERS,
                // Somebody will open it, or end the turn of the reader, and wake one.
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

    /// Takes the raw lock if nobody has it and nobody is to have it before us.
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
                // Others may sleep still. Whoever was woken is responsible for them.
                new |= WAITERS;
            }
            match self.word().exchange(word, new, AcqRel) {
                Ok(()) => return Look::Taken,
                Err(found) => word = found,
            }
        }
    }

    /// The deadline has passed. What this waiter was woken for must not be lost: if it does not get
    /// in, somebody else is woken in its place.
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

    /// Opens the raw lock. Wakes one of those who wait there; of other flags that were taken away
    /// it tells the caller.
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
            // Who waits for its turn wakes the queue afterwards.
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

    /// A reader that had its turn, or does not want it any longer, lets writers in again.
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

    /// After the death of a process. If it was the owner, nobody is, once `bury` has been told the
    /// word. In any case the barring that it may have asked for ends, and all who wait look again,
    /// since it may have died before it woke them or after it was woken. Says whether it was the
    /// owner.
    pub(super) fn recover(&self, dead: WorkerId, mut bury: impl FnMut(u64)) -> bool {
        let mut word = self.word().load(Acquire);
        let owned = loop {
            let owned = belongs_to(word, dead);
            let new = if owned || is_free(word) {
                0
            } else {
                word & !(STARVING | TURN)
            };
            if owned {
                bury(word);
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
