//! The producer's side of a segment.

use std::{fmt, ptr::NonNull, sync::Arc};

use parking_lot::{Mutex, MutexGuard};

use crate::{
    Block, Budget, Lease, Loc, SegmentFile, SegmentId, StoreError,
    extents::Extents,
    file::Usage,
    fork::{self, ProcessId},
    map::Mapping,
};

/// The largest alignment that every mapping of a segment can promise.
pub(crate) const MAX_ALIGN: usize = 4096;

/// Allocates extents in one segment. Only the process that made it can use it; in a forked child
/// it does nothing.
///
/// All methods may be called from any thread. No lock is held over system calls or the budget.
pub struct Heap {
    pub(crate) id: SegmentId,
    /// The process that made this heap.
    owner: ProcessId,
    pub(crate) file: SegmentFile,
    /// Where extents are filled. Its addresses never leave this crate but as `&mut` of a
    /// [`Building`](crate::Building).
    pub(crate) writable: Mapping,
    /// Where sealed extents are read.
    readable: Arc<Mapping>,
    pub(crate) budget: Arc<dyn Budget>,
    pub(crate) extents: Mutex<Extents>,
    /// Small extents that other processes write to, in slabs of `extents`: see [`crate::sharing`].
    pub(crate) cells: Mutex<Extents>,
}

impl Heap {
    /// Takes a segment over as its producer. The file must be new, or never have held objects that
    /// are still in use.
    ///
    /// # Errors
    /// When the file has no writable descriptor, or the system refuses the mappings.
    pub fn new(
        id: SegmentId,
        file: SegmentFile,
        budget: Arc<dyn Budget>,
    ) -> Result<Arc<Heap>, StoreError> {
        let writable = Mapping::read_write(&file, Usage::Bytes)?;
        let readable = Mapping::read_only(&file)?;
        let page = file.page();
        // A last page that is not whole could not be reserved.
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
        }))
    }

    /// Which segment.
    pub fn id(&self) -> SegmentId {
        self.id
    }

    /// The segment's file.
    pub fn file(&self) -> &SegmentFile {
        &self.file
    }

    /// The bytes that are backed by memory, in use or not: what the budget is charged.
    pub fn committed(&self) -> u64 {
        self.table().map_or(0, |extents| extents.committed())
    }

    /// The bytes of all extents that are in use, each rounded up to a multiple of 64.
    pub fn in_use(&self) -> u64 {
        self.table().map_or(0, |extents| extents.in_use())
    }

    /// Frees an extent that was [adopted](crate::Extent::adopt). Its memory stays warm.
    ///
    /// # Errors
    /// Invalid handle, when there is no such extent (any more), or it still belongs to its
    /// [`Extent`](crate::Extent) or [`Building`](crate::Building). Nothing changes then.
    pub fn free(&self, loc: Loc) -> Result<(), StoreError> {
        let Some(mut extents) = self.table() else {
            return Err(StoreError::other(
                "a forked child cannot free objects of the store",
            ));
        };
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

    /// Gives free memory back to the system and the budget, until at most `keep` bytes of it remain
    /// (and parts of pages). Says how many bytes were given back.
    pub fn trim(&self, keep: u64) -> u64 {
        let Some(mut extents) = self.table() else {
            return 0;
        };
        let want = extents.warm().saturating_sub(keep);
        let ranges = extents.take_to_cool(want);
        drop(extents);
        self.cool(ranges)
    }

    /// A read-only view of an extent. The lease is what the crate's documentation calls *pinned
    /// while leased*.
    ///
    /// # Errors
    /// Invalid handle, when there is no such extent.
    pub fn block(&self, loc: Loc, lease: Lease) -> Result<Block, StoreError> {
        let exists = |extents: &Extents| extents.contains(loc.offset, loc.len);
        if loc.segment != self.id || !self.table().is_some_and(|extents| exists(&extents)) {
            return Err(StoreError::invalid_handle(format!(
                "there is no object: {loc}"
            )));
        }
        self.view(loc, lease)
    }

    /// A read-only view of an extent that the caller knows to exist.
    pub(crate) fn view(&self, loc: Loc, lease: Lease) -> Result<Block, StoreError> {
        Block::shared(self.readable.clone(), loc, lease)
    }

    /// The address at which an extent can be written, in this process.
    pub(crate) fn writable(&self, loc: Loc) -> Option<NonNull<u8>> {
        if !self.is_ours() {
            return None;
        }
        self.writable
            .range(loc.offset..loc.offset.checked_add(loc.len)?)
    }

    /// From now on [`Heap::free`] works for this extent.
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

    /// Whether this is the process that made the heap. In a forked child the lock may be held by a
    /// thread that does not exist there, and the writable mapping is not there at all.
    pub(crate) fn is_ours(&self) -> bool {
        fork::this_process() == self.owner
    }

    /// The table that has this extent; `None` in a forked child.
    fn table_of(&self, loc: Loc) -> Option<MutexGuard<'_, Extents>> {
        let extents = self.table()?;
        if extents.contains(loc.offset, loc.len) {
            return Some(extents);
        }
        drop(extents);
        Some(self.cells.lock())
    }

    /// Whether an extent of this heap is at that location.
    pub(crate) fn has(&self, loc: Loc) -> bool {
        loc.segment == self.id
            && self
                .table_of(loc)
                .is_some_and(|extents| extents.contains(loc.offset, loc.len))
    }

    /// The table of extents; `None` in a forked child.
    fn table(&self) -> Option<MutexGuard<'_, Extents>> {
        self.is_ours().then(|| self.extents.lock())
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        if self.is_ours() {
            // Blocks may still be looked at, but nothing can be put here any more: what remains
            // goes with the last mapping and needs no budget of its own.
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
