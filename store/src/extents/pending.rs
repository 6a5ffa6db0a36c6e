//! Planned extents, while the caller asks the budget and the system.

use std::ops::Range;

/// An extent whose memory is not committed yet.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) size: u64,
    /// Whole pages in transit: the pages of the extent, and further ones behind it.
    pub(super) cold: Vec<Range<u64>>,
    /// The parts of the extent that were warm already.
    pub(super) warm: Vec<Range<u64>>,
    /// The number of bytes at the end of the last of `cold` that only save later work.
    pub(super) surplus: u64,
}

impl Pending {
    /// Returns whether it asks for more than the extent needs.
    pub(crate) fn has_surplus(&self) -> bool {
        self.surplus > 0
    }

    /// Returns the ranges that need memory.
    pub(crate) fn ranges(&self) -> &[Range<u64>] {
        &self.cold
    }

    /// Returns the number of bytes of these ranges.
    pub(crate) fn bytes(&self) -> u64 {
        self.cold.iter().map(|r| r.end - r.start).sum()
    }

    /// Returns the parts of the extent that have memory already.
    pub(crate) fn warm(&self) -> &[Range<u64>] {
        &self.warm
    }

    /// Returns the range of the extent's bytes.
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
