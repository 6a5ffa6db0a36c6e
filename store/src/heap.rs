//! The producer's side of a segment.

use std::{fmt, ops::Range, ptr::NonNull, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use rustix::process::Pid;

use crate::{
    Block, Budget, Building, Lease, Loc, SegmentFile, SegmentId, StoreError,
    extents::{Extents, GRANULE, Pending},
    file::Usage,
    map::Mapping,
};

/// The largest alignment that every mapping of a segment can promise.
pub(crate) const MAX_ALIGN: usize = 4096;

/// Memory is committed in steps of at least this many bytes, while the budget allows it: a system
/// call for every small object would cost more than the object.
const COMMIT_STEP: u64 = 256 << 10;

/// New memory of at least this many bytes is made present at once, which takes two thirds of the time
/// that faults for single pages do (measured with 256 MiB). Less than that is not written as a
/// whole soon.
const POPULATE_FROM: u64 = 1 << 20;

/// Allocates extents in one segment. Only the process that made it can use it; in a forked child
/// it does nothing.
///
/// All methods may be called from any thread. No lock is held over system calls or the budget.
pub struct Heap {
    id: SegmentId,
    /// The process that made this heap.
    owner: Pid,
    file: SegmentFile,
    /// Where extents are filled. Its addresses never leave this crate but as `&mut` of a
    /// [`Building`].
    writable: Mapping,
    /// Where sealed extents are read.
    readable: Arc<Mapping>,
    budget: Arc<dyn Budget>,
    extents: Mutex<Extents>,
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
        let page = rustix::param::page_size() as u64;
        // A last page that is not whole could not be reserved.
        let extents = Mutex::new(Extents::new(file.len() / page * page, page));
        // From here on a forked child can tell that it is one.
        let _ = crate::is_forked_child();
        let owner = rustix::process::getpid();
        Ok(Arc::new(Heap {
            id,
            owner,
            file,
            writable,
            readable,
            budget,
            extents,
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

    /// Allocates `len` bytes, aligned to `align` bytes or to 64, whichever is more.
    ///
    /// Warm memory, which was in use before, is taken first; its contents are left as they were.
    ///
    /// # Errors
    /// Full when the budget or the system has no memory even after this heap's own free memory was
    /// given back. Other errors when `align` is not a power of two or larger than a page of 4 KiB,
    /// and in a forked child.
    pub fn reserve(self: &Arc<Self>, len: usize, align: usize) -> Result<Building, StoreError> {
        if !self.is_ours() {
            return Err(StoreError::other(
                "a forked child cannot put objects into the store",
            ));
        }
        if !align.is_power_of_two() || align > MAX_ALIGN {
            return Err(StoreError::other(format!(
                "the store cannot align to {align} bytes; powers of two up to {MAX_ALIGN} are possible"
            )));
        }
        let len = len as u64;
        let offset = self.allocate(len, (align as u64).max(GRANULE))?;
        Ok(Building::new(
            self.clone(),
            Loc {
                segment: self.id,
                offset,
                len,
            },
        ))
    }

    /// Frees an extent that was [adopted](crate::Extent::adopt). Its memory stays warm.
    ///
    /// # Errors
    /// Invalid handle, when there is no such extent (any more), or it still belongs to its
    /// [`Extent`](crate::Extent) or [`Building`]. Nothing changes then.
    pub fn free(&self, loc: Loc) -> Result<(), StoreError> {
        let Some(mut extents) = self.table() else {
            return Err(StoreError::other(
                "a forked child cannot free objects of the store",
            ));
        };
        if loc.segment == self.id && extents.free_adopted(loc.offset, loc.len) {
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
        if let Some(mut extents) = self.table() {
            extents.adopt(loc.offset);
        }
    }

    /// Frees an extent for the handle that owns it.
    pub(crate) fn free_owned(&self, loc: Loc) {
        if let Some(mut extents) = self.table() {
            let freed = extents.free_owned(loc.offset);
            debug_assert!(freed, "a handle owned nothing: {loc}");
        }
    }

    /// Whether this is the process that made the heap. In a forked child the lock may be held by a
    /// thread that does not exist there, and the writable mapping is not there at all.
    fn is_ours(&self) -> bool {
        rustix::process::getpid() == self.owner
    }

    /// The table of extents; `None` in a forked child.
    fn table(&self) -> Option<MutexGuard<'_, Extents>> {
        self.is_ours().then(|| self.extents.lock())
    }

    fn allocate(&self, len: u64, align: u64) -> Result<u64, StoreError> {
        let mut extents = self.extents.lock();
        if let Some(offset) = extents.take_warm(len, align) {
            return Ok(offset);
        }
        let Some(pending) = extents.take_cold(len, align, COMMIT_STEP) else {
            drop(extents);
            return Err(self.does_not_fit(len));
        };
        drop(extents);
        match self.commit(pending) {
            Ok(offset) => Ok(offset),
            // Others may have freed something while this thread asked for memory.
            Err(error) => self.extents.lock().take_warm(len, align).ok_or(error),
        }
    }

    /// Gets memory for a planned extent: first generously, then exactly what it needs, then with
    /// what this heap can spare elsewhere.
    fn commit(&self, mut pending: Pending) -> Result<u64, StoreError> {
        let mut result = self.acquire_and_reserve(&pending);
        if result.is_err() && pending.has_surplus() {
            self.extents.lock().give_up_surplus(&mut pending);
            result = self.acquire_and_reserve(&pending);
        }
        if result.is_err() {
            let spare = self.extents.lock().take_to_cool(pending.bytes());
            if self.cool(spare) > 0 {
                result = self.acquire_and_reserve(&pending);
            }
        }
        let mut extents = self.extents.lock();
        match result {
            Ok(()) => Ok(extents.commit(pending)),
            Err(error) => {
                extents.abort(pending);
                Err(error)
            }
        }
    }

    /// Charges the budget and reserves the memory, or does neither.
    fn acquire_and_reserve(&self, pending: &Pending) -> Result<(), StoreError> {
        let bytes = pending.bytes();
        self.budget.acquire(bytes)?;
        for range in pending.ranges() {
            if let Err(error) = self.file.reserve(range.start, range.end - range.start) {
                // All of these ranges were holes before, so they can be holes again.
                for range in pending.ranges() {
                    let _ = self.file.punch(range.start, range.end - range.start);
                }
                self.budget.release(bytes);
                return Err(error);
            }
        }
        for range in pending.ranges() {
            if range.end - range.start >= POPULATE_FROM {
                self.writable.populate(range.clone());
            }
        }
        Ok(())
    }

    /// Makes holes of ranges that were taken out for it. Says how many bytes.
    fn cool(&self, ranges: Vec<Range<u64>>) -> u64 {
        let mut bytes = 0;
        for range in ranges {
            let len = range.end - range.start;
            let punched = self.file.punch(range.start, len).is_ok();
            let mut extents = self.extents.lock();
            if punched {
                extents.cooled(range);
                bytes += len;
            } else {
                extents.not_cooled(range);
            }
        }
        if bytes > 0 {
            self.budget.release(bytes);
        }
        bytes
    }

    /// The error for an extent that has no place in the segment's addresses.
    fn does_not_fit(&self, len: u64) -> StoreError {
        // The budget knows better numbers than this heap; mostly it refuses so much, too.
        match self.budget.acquire(len) {
            Err(error) => error,
            Ok(()) => {
                self.budget.release(len);
                let free = self.extents.lock().free();
                let all = self.file.len();
                StoreError::full(len, all.saturating_sub(free), all)
            }
        }
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
