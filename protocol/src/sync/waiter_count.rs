//! The number of sleepers. Some of them may be dead.

use std::sync::atomic::Ordering::SeqCst;

use crate::primitive::Word;

/// A sleeper has waited long.
const STARVING: u64 = 1 << 31;
const COUNT: u64 = STARVING - 1;
const EPOCH: u64 = !(STARVING | COUNT);

/// A word that counts the threads that sleep or are about to, in its lower half. Its upper half
/// counts epochs. The count may include dead threads. So the death of a process begins a new epoch
/// with a count of 0, and wakes all sleepers. An entry of an older epoch need not be taken back.
#[derive(Debug)]
pub(super) struct WaiterCount<'a, W>(pub(super) &'a W);

/// The content of a waiter count at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record(u64);

impl Record {
    /// Returns whether a thread sleeps, or is about to.
    pub(super) fn any(self) -> bool {
        self.0 & COUNT != 0
    }

    /// Returns whether one of the sleepers has waited long.
    pub(super) fn starving(self) -> bool {
        self.any() && self.0 & STARVING != 0
    }
}

impl<W: Word> WaiterCount<'_, W> {
    /// Returns the current content. Like all accesses here, it is sequentially consistent.
    #[inline]
    pub(super) fn look(&self) -> Record {
        Record(self.0.load(SeqCst))
    }

    /// Returns whether the entry of that time still counts.
    pub(super) fn is_current(&self, entered: Record) -> bool {
        (self.look().0 ^ entered.0) & EPOCH == 0
    }

    /// Counts one more sleeper. Returns the content before.
    pub(super) fn enter(&self) -> Record {
        self.change(|word| word & !COUNT | (word + 1) & COUNT)
    }

    /// Records that a sleeper has waited long.
    pub(super) fn starve(&self) {
        self.0.fetch_or(STARVING, SeqCst);
    }

    /// Counts one sleeper less, unless a new epoch has begun since `entered`. With `starving`, the
    /// caller had waited long, and no sleeper counts as such any more. Returns whether others are
    /// left that were barred for the caller.
    pub(super) fn leave(&self, entered: Record, starving: bool) -> bool {
        let before = self.change(|word| {
            let new = if starving { word & !STARVING } else { word };
            if (word ^ entered.0) & EPOCH == 0 && word & COUNT != 0 {
                new - 1
            } else {
                new
            }
        });
        let others = before.0 & COUNT > 1 || (before.0 ^ entered.0) & EPOCH != 0;
        before.starving() && starving && others
    }

    /// Begins a new epoch.
    pub(super) fn restart(&self) {
        self.change(|word| (word & EPOCH).wrapping_add(COUNT + STARVING + 1));
    }

    fn change(&self, to: impl Fn(u64) -> u64) -> Record {
        let mut word = self.0.load(SeqCst);
        loop {
            match self.0.exchange(word, to(word), SeqCst) {
                Ok(()) => return Record(word),
                Err(found) => word = found,
            }
        }
    }
}
