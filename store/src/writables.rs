//! What this process may write in segments of others.

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

/// This process' table of mappings of others' segments of which parts are writable: those that it
/// was given access to, from [`open`](Writables::open) to [`close`](Writables::close).
#[derive(Default)]
pub struct Writables {
    segments: DashMap<SegmentId, Arc<Writable>>,
}

/// One segment: addresses that nothing can be read or written at, but for the parts that are open.
struct Writable {
    mapping: Mapping,
    /// By their first byte.
    open: Mutex<BTreeMap<u64, Open>>,
}

enum Open {
    /// For good.
    Slab,
    /// With what keeps it from being closed.
    Pages(Weak<Pages>),
}

/// Kept by regions of an extent with pages of its own.
struct Pages {
    _writable: Arc<Writable>,
}

impl Keep for Pages {}
impl Keep for Writable {}
impl Keep for HeapPages {}

impl Writables {
    /// An empty table.
    pub fn new() -> Writables {
        Writables::default()
    }

    /// Takes the addresses for a segment, with a file that has its writable descriptor. The
    /// descriptors may be closed afterwards. Does nothing for a segment that is there.
    ///
    /// # Errors
    /// When the descriptor is missing, or the system refuses the mapping.
    pub fn insert(&self, id: SegmentId, file: &SegmentFile) -> Result<(), StoreError> {
        if let Entry::Vacant(place) = self.segments.entry(id) {
            place.insert(Arc::new(Writable {
                mapping: Mapping::closed(file)?,
                open: Mutex::default(),
            }));
        }
        Ok(())
    }

    /// Forgets a segment. It is unmapped when the last region of it is gone.
    pub fn remove(&self, id: SegmentId) {
        drop(self.segments.remove(&id));
    }

    /// Whether the segment is there.
    pub fn contains(&self, id: SegmentId) -> bool {
        self.segments.contains_key(&id)
    }

    /// Makes an extent that was reserved as shared writable here, if it is not yet: one system
    /// call.
    ///
    /// *One use*: it was reserved so, and no process reads it as an object. *Pinned while leased*:
    /// the lease keeps the producer from freeing it.
    ///
    /// # Errors
    /// Invalid handle, where the segment is not there or the range is not in it.
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

    /// Takes the permission back; afterwards a write there ends in SIGSEGV. `false`: there are
    /// regions of it, and nothing has changed.
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
                // A failure leaves it writable, which harms nobody who follows the rules.
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
