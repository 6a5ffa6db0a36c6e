//! Extents that other processes write to, too.
//!
//! A process with access to such an extent maps its pages writable, and no others of the segment.
//! So a large extent has pages of its own. Small ones lie together in *slabs*, which are mapped as
//! a whole. A page and a mapping for each of a million counters would be too much. Slabs stay for
//! the heap's life, and are used again.

use std::{ops::Range, sync::Arc};

use crate::{Building, Heap, Loc, StoreError, extents::Fit};

/// The size and the alignment of a slab, in bytes.
const SLAB: u64 = 64 << 10;

/// The largest size of an extent in a slab, in bytes. Longer extents have pages of their own.
const CELL_MOST: u64 = 4096;

/// Returns whether the extent lies in a slab. A slab stays writable for the processes that have
/// mapped it.
pub fn is_cell(loc: Loc) -> bool {
    loc.len <= CELL_MOST
}

/// Returns the range that must be writable for the extent: whole pages.
pub(crate) fn span(loc: Loc) -> Option<Range<u64>> {
    let unit = if is_cell(loc) { SLAB } else { page() };
    let end = loc.offset.checked_add(loc.len.max(1))?;
    Some(loc.offset / unit * unit..end.checked_next_multiple_of(unit)?)
}

/// Returns the parts of a span that become writable one by one: slabs, or all of it.
pub(crate) fn pieces(loc: Loc) -> Option<impl Iterator<Item = Range<u64>>> {
    let span = span(loc)?;
    let step = if is_cell(loc) {
        SLAB
    } else {
        span.end - span.start
    };
    let starts = span.clone().step_by(usize::try_from(step).ok()?);
    Some(starts.map(move |start| start..start + step))
}

fn page() -> u64 {
    rustix::param::page_size() as u64
}

impl Heap {
    /// Allocates `len` bytes that other processes will write to. They are all zero, at a multiple
    /// of 64.
    ///
    /// # Errors
    /// Fails in the cases of [`Heap::reserve`].
    pub fn reserve_shared(self: &Arc<Self>, len: usize) -> Result<Building, StoreError> {
        self.check(1)?;
        let offset = if len as u64 <= CELL_MOST {
            self.cell(len as u64)?
        } else {
            let pages = Fit {
                align: page(),
                unit: page(),
                gap: 0,
            };
            self.allocate(len as u64, pages, None)?.0
        };
        let mut building = self.building(offset, len);
        building.bytes_mut().fill(0);
        building.share();
        Ok(building)
    }

    fn cell(&self, len: u64) -> Result<u64, StoreError> {
        let fit = Fit::aligned(1);
        // Two threads may both add a slab. The next cells use the rest.
        loop {
            if let Some(offset) = self.cells.lock().take_warm(len, fit) {
                return Ok(offset);
            }
            let slab = Fit {
                align: SLAB,
                unit: SLAB,
                gap: 0,
            };
            let (offset, _) = self.allocate(SLAB, slab, None)?;
            self.cells.lock().add_warm(offset..offset + SLAB);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SegmentId;

    fn loc(offset: u64, len: u64) -> Loc {
        Loc {
            segment: SegmentId(1),
            offset,
            len,
        }
    }

    #[test]
    fn a_cell_needs_its_slab_and_an_array_its_pages() {
        assert_eq!(span(loc(SLAB + 64, 8)), Some(SLAB..2 * SLAB));
        let across = loc(2 * SLAB - 64, 128);
        assert_eq!(span(across), Some(SLAB..3 * SLAB));
        assert_eq!(pieces(across).unwrap().count(), 2);
        let array = loc(2 * page(), CELL_MOST + 1);
        let end = (2 * page() + CELL_MOST + 1).next_multiple_of(page());
        assert_eq!(span(array), Some(2 * page()..end));
        assert_eq!(pieces(array).unwrap().count(), 1);
        assert_eq!(span(loc(u64::MAX - 5, 100)), None);
    }
}
