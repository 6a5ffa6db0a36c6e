//! The parts of other processes' segments that this process may write.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Weak},
};

use dashmap::{DashMap, Entry};
use parking_lot::Mutex;

use crate::{
    EnginePromise, Lease, Loc, Region, SegmentFile, SegmentId, StoreError,
    heap::HeapPages,
    map::Mapping,
    region::Keep,
    sharing::{is_cell, pieces, span},
};

/// This process' table of mappings of other processes' segments. A part of them is writable from
/// [`open`](Writables::open) to [`close`](Writables::close), if this process was given access to
/// it.
#[derive(Default)]
pub struct Writables {
    segments: DashMap<SegmentId, Arc<Writable>>,
}

/// One segment: addresses that can be neither read nor written, except for the open parts.
struct Writable {
    mapping: Mapping,
    /// The open parts, by their first byte.
    open: Mutex<BTreeMap<u64, Open>>,
}

enum Open {
    /// A slab, which stays open.
    Slab,
    /// Pages, with the keeper that prevents their closing.
    Pages(Weak<Pages>),
}

/// The keeper of the regions of an extent with pages of its own.
struct Pages {
    _writable: Arc<Writable>,
}

impl Keep for Pages {}
impl Keep for Writable {}
impl Keep for HeapPages {}

impl Writables {
    /// Returns an empty table.
    pub fn new() -> Writables {
        Writables::default()
    }

    /// Takes the addresses for a segment, with a file that has its writable descriptor. The
    /// descriptors may be closed afterwards. Does nothing for a segment that is there.
    ///
    /// # Errors
    /// Fails if the descriptor is missing, or if the system refuses the mapping.
    pub fn insert(&self, id: SegmentId, file: &SegmentFile) -> Result<(), StoreError> {
        if let Entry::Vacant(place) = self.segments.entry(id) {
            place.insert(Arc::new(Writable {
                mapping: Mapping::closed(file)?,
                open: Mutex::default(),
            }));
        }
        Ok(())
    }

    /// Removes a segment. It is unmapped with its last region.
    pub fn remove(&self, id: SegmentId) {
        drop(self.segments.remove(&id));
    }

    /// Returns whether the table has the segment.
    pub fn contains(&self, id: SegmentId) -> bool {
        self.segments.contains_key(&id)
    }

    /// Makes an extent that was reserved as shared writable here, if it is not yet. Costs one
    /// system call.
    ///
    /// *One use*: it was reserved so, and no process reads it as an object. *Pinned while leased*:
    /// the lease keeps the producer from freeing it.
    ///
    /// # Errors
    /// Fails with an invalid handle if the table does not have the segment or the range is not in
    /// it.
    pub fn open(&self, loc: Loc, lease: Lease, _: EnginePromise) -> Result<Region, StoreError> {
        let segment = self.segments.get(&loc.segment).map(|found| found.clone());
        let segment = segment.ok_or_else(|| {
            StoreError::invalid_handle(format!("{loc}, which this process may not write to"))
        })?;
        let outside = || StoreError::invalid_handle(format!("{loc}, which is not in its segment"));
        let range = loc.offset..loc.offset.checked_add(loc.len).ok_or_else(outside)?;
        let start = segment.mapping.range(range).ok_or_else(outside)?;
        let keep = segment.open(loc)?;
        Region::new(start, loc, keep, lease)
    }

    /// Takes the permission back. A later write there ends in SIGSEGV. Returns `false` if there are
    /// regions of it. Then nothing has changed.
    pub fn close(&self, loc: Loc) -> bool {
        let segment = self.segments.get(&loc.segment).map(|found| found.clone());
        segment.is_none_or(|segment| segment.close(loc))
    }
}

impl Writable {
    fn open(self: Arc<Self>, loc: Loc) -> Result<Arc<dyn Keep>, StoreError> {
        let outside = || StoreError::invalid_handle(format!("{loc}, which is not in its segment"));
        let mut open = self.open.lock();
        if is_cell(loc) {
            for piece in pieces(loc).ok_or_else(outside)? {
                if !open.contains_key(&piece.start) {
                    let start = piece.start;
                    self.mapping.allow_writes(piece, true)?;
                    open.insert(start, Open::Slab);
                }
            }
            drop(open);
            return Ok(self);
        }
        let span = span(loc).ok_or_else(outside)?;
        let start = span.start;
        if let Some(Open::Pages(pages)) = open.get(&start) {
            if let Some(pages) = pages.upgrade() {
                return Ok(pages);
            }
        } else {
            self.mapping.allow_writes(span, true)?;
        }
        let pages = Arc::new(Pages {
            _writable: self.clone(),
        });
        open.insert(start, Open::Pages(Arc::downgrade(&pages)));
        Ok(pages)
    }

    fn close(&self, loc: Loc) -> bool {
        let Some(span) = span(loc) else { return true };
        let mut open = self.open.lock();
        match open.get(&span.start) {
            Some(Open::Pages(pages)) if pages.strong_count() == 0 => {
                open.remove(&span.start);
                // A failure leaves it writable, which harms no process that follows the rules.
                let _ = self.mapping.allow_writes(span, false);
                true
            }
            Some(Open::Pages(_)) => false,
            Some(Open::Slab) | None => true,
        }
    }
}

impl fmt::Debug for Writables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ids: Vec<_> = self.segments.iter().map(|segment| *segment.key()).collect();
        ids.sort_unstable();
        f.debug_tuple("Writables").field(&ids).finish()
    }
}
