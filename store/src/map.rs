//! Mappings of memory files: the only place that calls `mmap`.

use std::{
    fmt,
    ops::Range,
    os::fd::BorrowedFd,
    ptr::{self, NonNull},
    sync::Arc,
};

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};

use crate::{
    Lease, StoreError,
    byte_count::ByteCount,
    file::SegmentFile,
    fork::{self, ProcessId},
    limits::Wanted,
    usage::Usage,
};

/// A shared mapping of a whole memory file, unmapped on drop.
///
/// It gives out addresses only. [`Block`](crate::Block) makes slices of read-only mappings, the
/// heap makes slices of the producer's mapping, and [`SharedWords`](crate::SharedWords) makes
/// atomics.
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
    /// The process that made a writable mapping. A forked child does not inherit it: other data can
    /// lie at its addresses there.
    writer: Option<ProcessId>,
    /// Keeps the use of the file known while it is mapped.
    _usage: Lease,
}

// SAFETY: a mapping is an address and a length. It belongs to the process, not to a thread, and its
// methods give out addresses only. Code that makes a reference of an address argues for it there.
unsafe impl Send for Mapping {}
// SAFETY: as above; nothing in it changes while it is shared.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the file for reading. A write through its addresses ends in SIGSEGV.
    pub(crate) fn read_only(file: &SegmentFile) -> Result<Arc<Mapping>, StoreError> {
        file.use_as(Usage::Bytes)?;
        Mapping::new(file, file.read_only_fd(), ProtFlags::READ, None).map(Arc::new)
    }

    /// Maps the file for writing, in this process alone. A forked child does not inherit it.
    pub(crate) fn read_write(file: &SegmentFile, usage: Usage) -> Result<Mapping, StoreError> {
        file.use_as(usage)?;
        let fd = file.write_access().ok_or_else(|| {
            StoreError::invalid_handle("a segment can be written by its producer only")
        })?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let writer = Some(fork::this_process());
        let mapping = Mapping::new(file, fd, protection, writer)?;
        mapping.advise(Advice::LinuxDontFork)?;
        Ok(mapping)
    }

    /// Maps the file without any access, in this process alone. Parts are [made
    /// writable](Mapping::allow_writes) later.
    pub(crate) fn closed(file: &SegmentFile) -> Result<Mapping, StoreError> {
        file.use_as(Usage::Bytes)?;
        let fd = file.write_access().ok_or_else(|| {
            StoreError::invalid_handle("this process was not given write access to a segment")
        })?;
        let writer = Some(fork::this_process());
        let mapping = Mapping::new(file, fd, ProtFlags::empty(), writer)?;
        mapping.advise(Advice::LinuxDontFork)?;
        Ok(mapping)
    }

    /// Makes whole pages of a [closed](Mapping::closed) mapping readable and writable, or neither.
    /// No reference into a range may exist when it is closed.
    pub(crate) fn allow_writes(&self, range: Range<u64>, allowed: bool) -> Result<(), StoreError> {
        let what = "cannot change the access to shared memory";
        let failed = |e: &dyn fmt::Display| StoreError::other(format!("{what}: {e}"));
        let len = usize::try_from(range.end.saturating_sub(range.start)).map_err(|e| failed(&e))?;
        let start = self
            .range(range)
            .ok_or_else(|| failed(&"it is not in its segment"))?;
        let flags = match allowed {
            true => MprotectFlags::READ | MprotectFlags::WRITE,
            false => MprotectFlags::empty(),
        };
        // SAFETY: the pages lie in this mapping, which is not inherited; more access harms no
        // reference, and there are none where access ends: `Writable::close` is the only caller
        // that ends it, under the lock by which regions are made, when no region of those pages is
        // left.
        unsafe { rustix::mm::mprotect(start.as_ptr().cast(), len, flags) }
            .map_err(|e| StoreError::refused(what, Wanted::Addresses, e))
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the first address. Every address below `len()` from here is mapped while `self`
    /// lives.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Returns the first address of a range, if it lies in the mapping.
    pub(crate) fn range(&self, range: Range<u64>) -> Option<NonNull<u8>> {
        let start = usize::try_from(range.start).ok()?;
        let end = usize::try_from(range.end).ok()?;
        if start > end || end > self.len {
            return None;
        }
        // SAFETY: `start <= end <= len`, so the result is in the mapping or one past its end, and
        // `Mapping::new` made sure that `len` fits `isize`.
        Some(unsafe { self.start.add(start) })
    }

    /// Makes the pages of a range present, so that writes do not fault one by one. They fault as
    /// usual if the kernel cannot do this (before 5.14), or if a signal interrupts it.
    pub(crate) fn populate(&self, range: Range<u64>) {
        let len = range.end.saturating_sub(range.start);
        let (Some(start), Ok(len)) = (self.range(range), usize::try_from(len)) else {
            return;
        };
        // SAFETY: the range lies in this mapping. The advice changes no contents.
        let _ =
            unsafe { rustix::mm::madvise(start.as_ptr().cast(), len, Advice::LinuxPopulateWrite) };
    }

    /// Copies `bytes` to an offset.
    ///
    /// # Panics
    /// Panics if the range does not lie in the mapping, or if the mapping is not writable here.
    ///
    /// # Safety
    /// The memory there is reserved, and no other code reads or writes it at the same time.
    pub(crate) unsafe fn write(&self, offset: u64, bytes: &[u8]) {
        assert!(self.writer.is_some() && self.is_ours());
        let range = offset..offset + bytes.len() as u64;
        let Some(start) = self.range(range) else {
            panic!("{} bytes at {offset} are not in the mapping", bytes.len())
        };
        // SAFETY: the target lies in this mapping, which is writable here (asserted), has memory,
        // and is nobody else's (the contract, which `Building::mark_end` and `Heap::copy` argue
        // for); so it does not overlap with `bytes`, either.
        unsafe { start.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
    }

    /// Returns whether the addresses belong to this process. A writable mapping's do not in a
    /// forked child.
    pub(crate) fn is_ours(&self) -> bool {
        self.writer.is_none_or(|id| id == fork::this_process())
    }

    fn new(
        file: &SegmentFile,
        fd: BorrowedFd<'_>,
        protection: ProtFlags,
        writer: Option<ProcessId>,
    ) -> Result<Mapping, StoreError> {
        let what = format!("cannot map a segment of {}", ByteCount(file.len()));
        let failed = |e: &dyn fmt::Display| StoreError::other(format!("{what}: {e}"));
        let len = usize::try_from(file.len()).map_err(|e| failed(&e))?;
        if isize::try_from(len).is_err() {
            return Err(failed(&"too long"));
        }
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        // The file has at least `len` bytes (`SegmentFile::new` looked) and is never cut, so all of
        // it stays readable: nothing in this crate cuts a file, those of `create` have no name by
        // which others could, and the caller of `from_descriptors` promises it. That `fd` is of
        // this very file, `SegmentFile::new` has looked at, too. The use of the mapping is argued
        // where addresses are used.
        let start =
            unsafe { rustix::mm::mmap(ptr::null_mut(), len, protection, MapFlags::SHARED, fd, 0) }
                .map_err(|e| StoreError::refused(&what, Wanted::Addresses, e))?;
        let start = NonNull::new(start.cast()).ok_or_else(|| failed(&"address zero"))?;
        let mapping = Mapping {
            start,
            len,
            writer,
            _usage: file.usage().clone(),
        };
        // Without this, a crash would write gigabytes of arrays into a core file, twice for the
        // producer.
        mapping.advise(Advice::LinuxDontDump)?;
        Ok(mapping)
    }

    fn advise(&self, advice: Advice) -> Result<(), StoreError> {
        // SAFETY: the range is this mapping. The kinds of advice in use concern forked children and
        // core files, not the contents here.
        unsafe { rustix::mm::madvise(self.start.as_ptr().cast(), self.len, advice) }.map_err(|e| {
            StoreError::refused("cannot set up a segment's mapping", Wanted::Addresses, e)
        })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if !self.is_ours() {
            return;
        }
        // SAFETY: the range was mapped by `new` and nothing else unmaps it. Code that makes
        // references into it keeps the mapping alive as long as those. A failure leaves it mapped,
        // which does no harm.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping")
            .field("len", &self.len)
            .field("writable", &self.writer.is_some())
            .finish()
    }
}
