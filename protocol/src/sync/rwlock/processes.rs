//! The set of processes that read.

use std::sync::atomic::Ordering::SeqCst;

use super::super::{PROCESS_SLOTS, ProcessSlot};
use crate::primitive::Word;

/// One bit for each process slot.
#[derive(Debug)]
pub(super) struct Processes<'a, W>(pub(super) &'a [W]);

impl<W: Word> Processes<'_, W> {
    /// The number of words that it takes.
    pub(super) const WORDS: usize = PROCESS_SLOTS.div_ceil(64);

    #[inline]
    pub(super) fn insert(&self, slot: ProcessSlot) {
        let (at, bit) = place(slot);
        // This and the accesses below are sequentially consistent: README, "Readers and writers".
        self.0[at].fetch_or(bit, SeqCst);
    }

    #[inline]
    pub(super) fn remove(&self, slot: ProcessSlot) {
        let (at, bit) = place(slot);
        self.0[at].fetch_and(!bit, SeqCst);
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        let load = |word: &W| word.load(SeqCst);
        self.0.iter().all(|word| load(word) == 0)
    }
}

#[inline]
fn place(slot: ProcessSlot) -> (usize, u64) {
    let slot = usize::from(slot.number());
    (slot / 64, 1 << (slot % 64))
}
