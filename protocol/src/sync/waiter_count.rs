//! How many sleep, though some of them may be dead.

use std::sync::atomic::Ordering::SeqCst;

use crate::primitive::Word;

/// One of those who sleep has waited long.
const STARVING: u64 = 1 << 31;
const COUNT: u64 = STARVING - 1;
const EPOCH: u64 = !(STARVING | COUNT);

/// A word that counts those who sleep or are about to, in its lower half, and epochs in its upper
/// half. The count may include dead ones. So when a process has died, a new epoch begins with a
/// count of zero, and all sleepers are woken: what was entered in an older epoch need not be taken
/// back.
#[derive(Debug)]
pub(super) struct WaiterCount<'a, W>(pub(super) &'a W);

/// What a waiter count said at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record(u64);

impl Record {
    /// Whether anybody sleeps, or is about to.
    pub(super) fn any(self) -> bool {
        self.0 & COUNT != 0
    }

    /// Whether one of them has waited long.
    pub(super) fn starving(self) -> bool {
        self.any() && self.0 & STARVING != 0
    }
}

impl<W: Word> WaiterCount<'_, W> {
    /// Sequentially consistent, as are all accesses here.
    #[inline]
    pub(super) fn look(&self) -> Record {
        Record(self.0.load(SeqCst))
    }

    /// Whether what was entered then still counts.
    pub(super) fn is_current(&self, entered: Record) -> bool {
        (self.look().0 ^ entered.0) & EPOCH == 0
    }

    /// One more. Returns what the record was before.
    pub(super) fn enter(&self) -> Record {
        self.change(|word| word & !COUNT | (word + 1) & COUNT)
    }

    /// Somebody has waited long.
    pub(super) fn starve(&self) {
        self.0.fetch_or(STARVING, SeqCst);
    }

    /// One less, unless there is a new epoch since `entered`; and nobody has waited long, if
    /// `starving` says that it was the caller. Says whether others are left who were barred for its
    /// sake.
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

    /// A new epoch.
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
