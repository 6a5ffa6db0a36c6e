//! The table of a segment: plain data, without input or output.
//!
//! Every byte of a segment is in one of four states:
//!
//! - *used*: part of an extent that was handed out;
//! - *warm*: free, and backed by memory;
//! - *cold*: free, a hole in the file, always in whole pages;
//! - *in transit*: between warm and cold. The caller asks the budget and the system meanwhile,
//!   without the lock over this table. No other caller gets such bytes.

use std::ops::Range;

pub(crate) use self::pending::Pending;
use crate::{numbers::NumberMap, ranges::RangeSet};

mod pending;

/// The granule: extents begin and end at its multiples. It is a cache line, and the least
/// alignment.
pub(crate) const GRANULE: u64 = 64;

/// The number of freed ranges that are kept for extents of exactly their size.
const RECENT: usize = 8;

/// The rules for the place of an extent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    /// The extent begins at a multiple of this: a power of two, [`GRANULE`] or more.
    pub(crate) align: u64,
    /// The extent takes a multiple of this.
    pub(crate) unit: u64,
    /// The number of bytes behind the extent that belong to no extent.
    pub(crate) gap: u64,
}

impl Fit {
    /// Returns the rules of an extent that may share its first and last page with others.
    pub(crate) fn aligned(align: usize) -> Fit {
        Fit {
            align: (align as u64).max(GRANULE),
            unit: GRANULE,
            gap: 0,
        }
    }
}

/// The table of one segment.
#[derive(Debug)]
pub(crate) struct Extents {
    /// The system's page, a multiple of the granule.
    page: u64,
    /// Extents that were handed out, by offset.
    used: NumberMap<u64, Used>,
    warm: RangeSet,
    cold: RangeSet,
    /// Warm and cold ranges together. A large extent may be partly warm and partly cold.
    free: RangeSet,
    /// The ranges that were freed last, the latest at the end. They are warm, but in neither set
    /// yet. A program that makes objects of one size one after the other gets one range again and
    /// again. Its sets then do not change. All other operations [settle](Extents::settle) these
    /// ranges first.
    recent: Vec<Range<u64>>,
    in_use: u64,
    committed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Used {
    /// The length that was asked for.
    len: u64,
    /// The length that it takes.
    size: u64,
    /// Whether it belongs to the engine, which frees it by its location. Otherwise it belongs to a
    /// handle, which frees it on drop.
    adopted: bool,
    /// Whether several processes write it as shared memory. Otherwise its bytes are immutable.
    shared: bool,
}

impl Extents {
    /// Returns a table of `len` bytes, all cold. `page` is a multiple of the granule, and `len` is
    /// a multiple of `page`.
    pub(crate) fn new(len: u64, page: u64) -> Extents {
        let mut extents = Extents {
            page,
            used: NumberMap::default(),
            warm: RangeSet::default(),
            cold: RangeSet::default(),
            free: RangeSet::default(),
            recent: Vec::with_capacity(RECENT),
            in_use: 0,
            committed: 0,
        };
        extents.cold.insert(0..len);
        extents.free.insert(0..len);
        extents
    }

    /// Returns a table without any bytes. Bytes are [added](Extents::add_warm) later.
    pub(crate) fn empty(page: u64) -> Extents {
        Extents::new(0, page)
    }

    /// Takes over bytes that have memory and belong to no extent.
    pub(crate) fn add_warm(&mut self, range: Range<u64>) {
        self.warm.insert(range.clone());
        self.free.insert(range);
    }

    /// Returns the bytes of the extents that are handed out, in whole granules.
    pub(crate) fn in_use(&self) -> u64 {
        self.in_use
    }

    /// Returns the bytes that are backed by memory: used, warm, or on their way from warm to cold.
    pub(crate) fn committed(&self) -> u64 {
        self.committed
    }

    /// Returns the free bytes, whether or not memory backs them.
    pub(crate) fn free(&self) -> u64 {
        self.free.total() + self.recent_bytes()
    }

    /// Returns the bytes that are free and backed by memory.
    pub(crate) fn warm(&self) -> u64 {
        self.warm.total() + self.recent_bytes()
    }

    /// Hands out an extent from warm memory and returns its offset. Takes the latest [recently
    /// freed](RECENT) range of exactly its size, or else the smallest range that fits.
    pub(crate) fn take_warm(&mut self, len: u64, fit: Fit) -> Option<u64> {
        let Fit { align, unit, gap } = fit;
        let size = size_of_extent(len, unit)?.checked_add(gap)?;
        let fits = |r: &Range<u64>| r.end - r.start == size && r.start.is_multiple_of(align);
        if let Some(i) = self.recent.iter().rposition(fits) {
            let offset = self.recent.remove(i).start;
            self.hand_out(offset, len, size);
            return Some(offset);
        }
        self.settle();
        let offset = self.warm.best_fit(size, align)?;
        self.warm.remove(offset..offset + size);
        self.free.remove(offset..offset + size);
        self.hand_out(offset, len, size);
        Some(offset)
    }

    /// Plans an extent for which memory must be committed, at least `step` bytes if there is room.
    /// The caller ends the plan by [`Extents::commit`] or [`Extents::abort`].
    pub(crate) fn take_cold(&mut self, len: u64, fit: Fit, step: u64) -> Option<Pending> {
        let Fit { align, unit, gap } = fit;
        let size = size_of_extent(len, unit)?.checked_add(gap)?;
        self.settle();
        let offset = self.free.best_fit(size, align)?;
        let end = offset + size;
        let pages = offset / self.page * self.page..end.next_multiple_of(self.page);
        let mut cold = self.cold.remove_all(pages);
        let needed: u64 = cold.iter().map(|r| r.end - r.start).sum();
        let mut surplus = 0;
        // A cold range that follows the last one directly was one range with it.
        if let Some(last) = cold.last_mut()
            && let Some(more) = self.cold.around(last.end)
        {
            surplus = step.saturating_sub(needed).min(more.end - more.start);
            surplus = surplus / self.page * self.page;
            self.cold.remove(last.end..last.end + surplus);
            last.end += surplus;
        }
        let warm = self.warm.remove_all(offset..end);
        let pending = Pending {
            offset,
            len,
            size,
            cold,
            warm,
            surplus,
        };
        let was_free = self.free.remove(pending.span());
        debug_assert!(was_free, "{pending:?} is not free");
        Some(pending)
    }

    /// Gives back the bytes that `pending` does not need.
    pub(crate) fn give_up_surplus(&mut self, pending: &mut Pending) {
        if let Some(last) = pending.cold.last_mut() {
            let surplus = last.end - pending.surplus..last.end;
            last.end = surplus.start;
            pending.surplus = 0;
            self.cold.insert(surplus.clone());
            self.free.insert(surplus);
        }
    }

    /// Hands out a planned extent, whose ranges have memory now. Returns its offset.
    pub(crate) fn commit(&mut self, pending: Pending) -> u64 {
        let used = pending.used();
        self.committed += pending.bytes();
        for range in &pending.cold {
            // The rest of the pages beside the extent becomes warm.
            for rest in [
                range.start..range.end.min(used.start),
                range.start.max(used.end)..range.end,
            ] {
                self.warm.insert(rest.clone());
                self.free.insert(rest);
            }
        }
        self.hand_out(pending.offset, pending.len, pending.size);
        pending.offset
    }

    /// Drops a plan. The table is like before.
    pub(crate) fn abort(&mut self, pending: Pending) {
        self.free.insert(pending.span());
        for range in pending.warm {
            self.warm.insert(range);
        }
        for range in pending.cold {
            self.cold.insert(range);
        }
    }

    /// Returns whether an extent is handed out at this offset with this length.
    pub(crate) fn contains(&self, offset: u64, len: u64) -> bool {
        self.used.get(&offset).is_some_and(|used| used.len == len)
    }

    /// Returns whether the extent is shared, or `None` if there is none of this offset and length.
    pub(crate) fn is_shared(&self, offset: u64, len: u64) -> Option<bool> {
        let used = self.used.get(&offset).filter(|used| used.len == len)?;
        Some(used.shared)
    }

    /// Sets whether the extent is shared.
    pub(crate) fn set_shared(&mut self, offset: u64, shared: bool) {
        if let Some(used) = self.used.get_mut(&offset) {
            used.shared = shared;
        }
    }

    /// Marks the extent as freed by its location from now on.
    pub(crate) fn adopt(&mut self, offset: u64) {
        if let Some(used) = self.used.get_mut(&offset) {
            used.adopted = true;
        }
    }

    /// Frees an adopted extent. Returns whether there was one. If not, nothing changes.
    pub(crate) fn free_adopted(&mut self, offset: u64, len: u64) -> bool {
        let fits = self
            .used
            .get(&offset)
            .is_some_and(|used| used.len == len && used.adopted);
        fits && self.free_owned(offset)
    }

    /// Frees an extent for the handle that owns it. Returns whether there was one.
    pub(crate) fn free_owned(&mut self, offset: u64) -> bool {
        let Some(used) = self.used.remove(&offset) else {
            return false;
        };
        self.in_use -= used.size;
        if self.recent.len() == RECENT {
            let oldest = self.recent.remove(0);
            self.add_warm(oldest);
        }
        self.recent.push(offset..offset + used.size);
        true
    }

    /// Moves the recently freed ranges into the sets, where they join their neighbours.
    fn settle(&mut self) {
        while let Some(range) = self.recent.pop() {
            self.add_warm(range);
        }
    }

    fn recent_bytes(&self) -> u64 {
        self.recent.iter().map(|r| r.end - r.start).sum()
    }

    /// Takes out whole warm pages, `want` bytes if there are that many, from the highest addresses
    /// down. The caller ends this by [`Extents::cooled`] or [`Extents::not_cooled`] for each range.
    pub(crate) fn take_to_cool(&mut self, want: u64) -> Vec<Range<u64>> {
        self.settle();
        let mut left = want.checked_next_multiple_of(self.page).unwrap_or(u64::MAX);
        let mut taken = Vec::new();
        for range in self.warm.iter().rev() {
            if left == 0 {
                break;
            }
            let start = range.start.next_multiple_of(self.page);
            let end = range.end / self.page * self.page;
            if start < end {
                let start = start.max(end.saturating_sub(left));
                left -= end - start;
                taken.push(start..end);
            }
        }
        for range in &taken {
            self.warm.remove(range.clone());
            self.free.remove(range.clone());
        }
        taken
    }

    /// Records that the range is a hole now.
    pub(crate) fn cooled(&mut self, range: Range<u64>) {
        self.committed -= range.end - range.start;
        self.cold.insert(range.clone());
        self.free.insert(range);
    }

    /// Records that the range could not be made a hole.
    pub(crate) fn not_cooled(&mut self, range: Range<u64>) {
        self.warm.insert(range.clone());
        self.free.insert(range);
    }

    fn hand_out(&mut self, offset: u64, len: u64, size: u64) {
        self.in_use += size;
        let before = self.used.insert(
            offset,
            Used {
                len,
                size,
                adopted: false,
                shared: false,
            },
        );
        debug_assert!(before.is_none(), "two extents at {offset}");
    }
}

/// Returns the length that an extent of `len` bytes takes. An empty extent takes some, too, so no
/// other extent has its offset.
fn size_of_extent(len: u64, unit: u64) -> Option<u64> {
    len.max(1).checked_next_multiple_of(unit)
}

#[cfg(test)]
mod tests;
