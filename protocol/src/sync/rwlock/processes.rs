//! The processes that read.

use std::sync::atomic::Ordering::SeqCst;

use super::super::{SEATS, Seat};
use crate::primitive::Word;

/// One bit for each seat.
#[derive(Debug)]
pub(super) struct Processes<'a, W>(pub(super) &'a [W]);

impl<W: Word> Processes<'_, W> {
    /// How many words it takes.
    pub(super) const WORDS: usize = SEATS.div_ceil(64);

    #[inline]
    pub(super) fn insert(&self, seat: Seat) {
        let (at, bit) = place(seat);
        // This and the accesses below are sequentially consistent: README, "Readers and writers".
        self.0[at].fetch_or(bit, SeqCst);
    }

    #[inline]
    pub(super) fn remove(&self, seat: Seat) {
        let (at, bit) = place(seat);
        self.0[at].fetch_and(!bit, SeqCst);
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        let load = |word: &W| word.load(SeqCst);
        self.0.iter().all(|word| load(word) == 0)
    }
}

#[inline]
fn place(seat: Seat) -> (usize, u64) {
    let seat = usize::from(seat.number());
    (seat / 64, 1 << (seat % 64))
}
