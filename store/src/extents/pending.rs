//! Extents that are planned, while the caller talks to the budget and the system.

use std::ops::Range;

/// An extent whose memory is still to be committed.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) size: u64,
    /// Whole pages in transit: those that the extent touches, and further ones behind it.
    pub(super) cold: Vec<Range<u64>>,
    /// The parts of the extent that were warm already.
    pub(super) warm: Vec<Range<u64>>,
    /// How much at the end of the last of `cold` is there only to save work later.
    pub(super) surplus: u64,
}

impl Pending {
    /// Whether it asks for more than the extent needs.
    pub(crate) fn has_surplus(&self) -> bool {
        self.surplus > 0
    }

    /// The ranges that need memory.
    pub(crate) fn ranges(&self) -> &[Range<u64>] {
        &self.cold
    }

    /// How many bytes of memory they need.
    pub(crate) fn bytes(&self) -> u64 {
        self.cold.iter().map(|r| r.end - r.start).sum()
    }

    /// The parts of the extent that have memory already.
    pub(crate) fn warm(&self) -> &[Range<u64>] {
        &self.warm
    }

    /// Where the extent's bytes are to be.
    pub(crate) fn place(&self) -> Range<u64> {
        self.offset..self.offset + self.len
    }

    pub(super) fn used(&self) -> Range<u64> {
        self.offset..self.offset + self.size
    }

    pub(super) fn span(&self) -> Range<u64> {
        let start = self
            .cold
            .first()
            .map_or(self.offset, |r| r.start.min(self.offset));
        let end = self
            .cold
            .last()
            .map_or(0, |r| r.end)
            .max(self.offset + self.size);
        start..end
    }
}
