//! The producer's side of a segment.

use std::{
    fmt,
    ptr::NonNull,
    sync::{Arc, Weak},
};

use parking_lot::{Mutex, MutexGuard};

use crate::{
    Block, Budget, EnginePromise, Lease, Loc, NumberMap, Region, SegmentFile, SegmentId,
    StoreError,
    extents::Extents,
    fork::{self, ProcessId},
    map::Mapping,
    usage::Usage,
};

/// Allocates extents in one segment. Only the process that made it can use it. In a forked child it
/// does nothing.
///
/// All methods may be called from any thread. No lock is held over system calls or the budget.
pub struct Heap {
    pub(crate) id: SegmentId,
    /// The process that made this heap.
    owner: ProcessId,
    pub(crate) file: SegmentFile,
    /// The mapping in which extents are filled. Its addresses leave this crate only as `&mut` of a
    /// [`Building`](crate::Building).
    pub(crate) writable: Mapping,
    /// The mapping in which sealed extents are read.
    readable: Arc<Mapping>,
    pub(crate) budget: Arc<dyn Budget>,
    pub(crate) extents: Mutex<Extents>,
    /// Small extents that other processes write to, in slabs of `extents`: see [`crate::sharing`].
    pub(crate) cells: Mutex<Extents>,
    /// The keepers of the regions of shared extents in this process, by offset. This is locked
    /// after a table.
    regions: Mutex<NumberMap<u64, Weak<HeapPages>>>,
}

/// The keeper of the regions of one extent in the producer's own mapping.
pub(crate) struct HeapPages {
    _heap: Arc<Heap>,
}

impl Heap {
    /// Takes a segment over as its producer. The file must be new, or must have no object that is
    /// still in use.
    ///
    /// # Errors
    /// Fails if the file has no writable descriptor, or if the system refuses the mappings.
    pub fn new(
        id: SegmentId,
        file: SegmentFile,
        budget: Arc<dyn Budget>,
    ) -> Result<Arc<Heap>, StoreError> {
        let writable = Mapping::read_write(&file, Usage::Bytes)?;
        let readable = Mapping::read_only(&file)?;
        let page = file.page();
        // The end of the file is left out if it is no whole page, since it could not be reserved.
        let extents = Mutex::new(Extents::new(file.len() / page * page, page));
        // From here on a forked child can tell that it is one.
        let _ = crate::is_forked_child();
        let owner = fork::this_process();
        Ok(Arc::new(Heap {
            id,
            owner,
            file,
            writable,
            readable,
            budget,
            extents,
            cells: Mutex::new(Extents::empty(page)),
            regions: Mutex::default(),
        }))
    }

    /// Returns the id of the segment.
    pub fn id(&self) -> SegmentId {
        self.id
    }

    /// Returns the segment's file.
    pub fn file(&self) -> &SegmentFile {
        &self.file
    }

    /// Returns the number of bytes that memory backs, in use or not. The budget is charged for
    /// them.
    pub fn committed(&self) -> u64 {
        self.table().map_or(0, |extents| extents.committed())
    }

    /// Returns the number of bytes of all extents in use, each rounded up to a multiple of 64.
    pub fn in_use(&self) -> u64 {
        self.table().map_or(0, |extents| extents.in_use())
    }

    /// Frees an extent that was [adopted](crate::Extent::adopt). Its memory stays warm.
    ///
    /// *Pinned while leased*: no lease on it is left, in any process.
    ///
    /// # Errors
    /// Fails with an invalid handle in three cases, and changes nothing: there is no such extent;
    /// it still belongs to its [`Extent`](crate::Extent) or [`Building`](crate::Building); this
    /// process has [regions](Heap::region) of it.
    pub fn free(&self, loc: Loc, _: EnginePromise) -> Result<(), StoreError> {
        let Some(mut extents) = self.table() else {
            return Err(StoreError::other(
                "a forked child cannot free objects of the store",
            ));
        };
        let shared = extents.is_shared(loc.offset, loc.len);
        // A location that the table does not have may be a cell, and all cells are shared.
        if shared != Some(false) && !self.no_regions(loc) {
            return Err(StoreError::invalid_handle(format!(
                "{loc} cannot be freed: this process writes there"
            )));
        }
        if loc.segment == self.id
            && (extents.free_adopted(loc.offset, loc.len)
                || self.cells.lock().free_adopted(loc.offset, loc.len))
        {
            Ok(())
        } else {
            Err(StoreError::invalid_handle(format!(
                "nothing to free: {loc}"
            )))
        }
    }

    /// Gives free memory back to the system and the budget, until at most `keep` bytes of it are
    /// left. Parts of pages stay, too. Returns the number of bytes that were given back.
    pub fn trim(&self, keep: u64) -> u64 {
        let Some(mut extents) = self.table() else {
            return 0;
        };
        let want = extents.warm().saturating_sub(keep);
        let ranges = extents.take_to_cool(want);
        drop(extents);
        self.cool(ranges)
    }

    /// Returns a read-only block of an extent.
    ///
    /// *Pinned while leased*: the lease keeps the extent from being freed.
    ///
    /// An extent that was [reserved as shared](Heap::reserve_shared) is not shared any more from
    /// here on. *One use*: no other process has it writable any more.
    ///
    /// # Errors
    /// Fails with an invalid handle if there is no such extent, or if this process has
    /// [regions](Heap::region) of it.
    pub fn block(&self, loc: Loc, lease: Lease, _: EnginePromise) -> Result<Block, StoreError> {
        let missing = || StoreError::invalid_handle(format!("there is no object: {loc}"));
        let mut extents = self.table().ok_or_else(missing)?;
        let shared = extents.is_shared(loc.offset, loc.len);
        match shared.filter(|_| loc.segment == self.id) {
            None => return Err(missing()),
            Some(false) => {}
            Some(true) if self.no_regions(loc) => extents.set_shared(loc.offset, false),
            Some(true) => {
                return Err(StoreError::invalid_handle(format!(
                    "{loc} cannot be read as an object: this process writes there"
                )));
            }
        }
        drop(extents);
        self.view(loc, lease)
    }

    /// Returns a shared extent of this heap, in the producer's own mapping.
    ///
    /// *Pinned while leased*: the lease keeps the extent from being freed.
    ///
    /// # Errors
    /// Fails with an invalid handle if there is no such extent, or if it is not shared. Then it was
    /// not [reserved](Heap::reserve_shared) so, or was [read as an object](Heap::block) since then.
    pub fn region(
        self: &Arc<Self>,
        loc: Loc,
        lease: Lease,
        _: EnginePromise,
    ) -> Result<Region, StoreError> {
        let missing = || StoreError::invalid_handle(format!("there is no shared memory: {loc}"));
        if loc.segment != self.id {
            return Err(missing());
        }
        let start = self.writable(loc).ok_or_else(missing)?;
        let extents = self.table_of(loc).ok_or_else(missing)?;
        if extents.is_shared(loc.offset, loc.len) != Some(true) {
            return Err(missing());
        }
        let pages = {
            let mut regions = self.regions.lock();
            let known = regions.entry(loc.offset).or_default();
            known.upgrade().unwrap_or_else(|| {
                let pages = Arc::new(HeapPages {
                    _heap: self.clone(),
                });
                *known = Arc::downgrade(&pages);
                pages
            })
        };
        drop(extents);
        Region::new(start, loc, pages, lease)
    }

    /// Returns whether this process has regions of an extent of this heap.
    pub fn has_regions(&self, loc: Loc) -> bool {
        let has = |pages: &Weak<HeapPages>| pages.strong_count() > 0;
        loc.segment == self.id && self.regions.lock().get(&loc.offset).is_some_and(has)
    }

    /// Forgets the former regions of an extent. Returns `false` if there still are some. The table
    /// is locked, so there will be no new ones.
    fn no_regions(&self, loc: Loc) -> bool {
        let mut regions = self.regions.lock();
        let none = regions
            .get(&loc.offset)
            .is_none_or(|pages| pages.strong_count() == 0);
        if none {
            regions.remove(&loc.offset);
        }
        none
    }

    /// Returns a read-only block of an extent that the caller knows to exist.
    pub(crate) fn view(&self, loc: Loc, lease: Lease) -> Result<Block, StoreError> {
        Block::shared(self.readable.clone(), loc, lease)
    }

    /// Returns the address at which this process can write an extent.
    pub(crate) fn writable(&self, loc: Loc) -> Option<NonNull<u8>> {
        if !self.is_ours() {
            return None;
        }
        self.writable
            .range(loc.offset..loc.offset.checked_add(loc.len)?)
    }

    /// Marks the extent as shared from now on.
    pub(crate) fn mark_shared(&self, loc: Loc) {
        if let Some(mut extents) = self.table_of(loc) {
            extents.set_shared(loc.offset, true);
        }
    }

    /// Allows [`Heap::free`] for this extent from now on.
    pub(crate) fn mark_adopted(&self, loc: Loc) {
        if let Some(mut extents) = self.table_of(loc) {
            extents.adopt(loc.offset);
        }
    }

    /// Frees an extent for the handle that owns it.
    pub(crate) fn free_owned(&self, loc: Loc) {
        if let Some(mut extents) = self.table_of(loc) {
            let freed = extents.free_owned(loc.offset);
            debug_assert!(freed, "a handle owned nothing: {loc}");
        }
    }

    /// Returns whether this is the process that made the heap. In a forked child a thread that does
    /// not exist there may hold the lock, and the writable mapping does not exist.
    pub(crate) fn is_ours(&self) -> bool {
        fork::this_process() == self.owner
    }

    /// Returns the table that has this extent, or `None` in a forked child.
    fn table_of(&self, loc: Loc) -> Option<MutexGuard<'_, Extents>> {
        let extents = self.table()?;
        if extents.contains(loc.offset, loc.len) {
            return Some(extents);
        }
        drop(extents);
        Some(self.cells.lock())
    }

    /// Returns the table of extents, or `None` in a forked child.
    fn table(&self) -> Option<MutexGuard<'_, Extents>> {
        self.is_ours().then(|| self.extents.lock())
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        if self.is_ours() {
            // Blocks may still be read, but no object can be put here any more. The rest goes with
            // the last mapping and needs no budget.
            let committed = self.extents.get_mut().committed();
            if committed > 0 {
                self.budget.release(committed);
            }
        }
    }
}

impl fmt::Debug for Heap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heap")
            .field("id", &self.id)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}
