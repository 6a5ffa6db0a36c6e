//! The memory file behind a segment or mailbox.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{FallocateFlags, Mode, OFlags, Stat},
    io::Errno,
};

use crate::{
    EnginePromise, StoreError,
    byte_count::ByteCount,
    descriptors::{self, Identity},
    usage::{self, FileUsage, Usage},
};

/// The mount point on Linux of the file system for the `shared_memory` crate's segments.
pub(crate) const SHM_DIR: &str = "/dev/shm";

/// The largest unit in which memory is counted.
const MOST_PAGE: u64 = 4 << 20;

/// The smallest number of such units in a file. A smaller file is counted in small pages.
const LEAST_PAGES: u64 = 64;

/// The number of bytes that one system call reserves. When a signal comes, the kernel gives up a
/// reservation and undoes it. Small calls make progress even if signals are frequent (profilers).
const RESERVE_STEP: u64 = 16 << 20;

/// The number of tries for one step when signals interrupt it.
const RESERVE_TRIES: u32 = 1000;

/// A memory file without a name. It exists while a descriptor or a mapping of it does.
///
/// It is sparse. Bytes must be [reserved](SegmentFile::reserve) before they are written. Otherwise
/// a write can end in SIGBUS when memory runs out.
#[derive(Debug)]
pub struct SegmentFile {
    read_only: OwnedFd,
    read_write: Option<OwnedFd>,
    /// The identity of the file. It is checked before the system changes the file.
    identity: Identity,
    len: u64,
    anonymous: bool,
    page: u64,
    usage: FileUsage,
}

impl SegmentFile {
    /// Takes over descriptors of a file that another process created.
    ///
    /// *One producer*: `read_write` belongs to the producer of the segment, or to both sides of a
    /// mailbox, and to no other process. Processes that write its shared extents may have it too,
    /// if only [`Writables`] gets the file. The file is never cut.
    ///
    /// [`Writables`]: crate::Writables
    ///
    /// # Errors
    /// Fails if a file is shorter than `len`, so that a mapping could reach beyond its end. Fails
    /// if the two descriptors are not of one file.
    pub fn from_descriptors(
        read_only: OwnedFd,
        read_write: Option<OwnedFd>,
        len: u64,
        _: EnginePromise,
    ) -> Result<SegmentFile, StoreError> {
        SegmentFile::new(read_only, read_write, len)
    }

    /// Takes over descriptors like [`SegmentFile::from_descriptors`], also those of a new file.
    pub(crate) fn new(
        read_only: OwnedFd,
        read_write: Option<OwnedFd>,
        len: u64,
    ) -> Result<SegmentFile, StoreError> {
        let failed = |e| StoreError::other(format!("cannot inspect a segment's descriptor: {e}"));
        let stat = rustix::fs::fstat(&read_only).map_err(failed)?;
        let identity = Identity::in_stat(&stat);
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        if len == 0 || size < len {
            return Err(StoreError::invalid_handle(format!(
                "a segment of {len} bytes was announced, but its file has {size}"
            )));
        }
        if let Some(fd) = &read_write
            && Identity::of(fd).map_err(failed)? != identity
        {
            return Err(StoreError::invalid_handle(
                "the two descriptors of a segment are of different files",
            ));
        }
        let anonymous = is_anonymous(&stat);
        let page = page_of(&stat, len);
        Ok(SegmentFile {
            read_only,
            read_write,
            identity,
            len,
            anonymous,
            page,
            usage: usage::of_file(&stat),
        })
    }

    /// Returns the descriptor for readers.
    pub fn read_only_fd(&self) -> BorrowedFd<'_> {
        self.read_only.as_fd()
    }

    /// Returns the producer's descriptor, if this process has it.
    ///
    /// *One producer*: the descriptor is written through only by a [`SegmentFile`] that is [made of
    /// it](SegmentFile::from_descriptors). This holds for every process that gets it.
    pub fn read_write_fd(&self, _: EnginePromise) -> Option<BorrowedFd<'_>> {
        self.write_access()
    }

    pub(crate) fn write_access(&self) -> Option<BorrowedFd<'_>> {
        self.read_write.as_ref().map(AsFd::as_fd)
    }

    /// Returns the length in bytes. Most of it may be holes.
    #[expect(clippy::len_without_is_empty, reason = "a file is never empty")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns whether this is an anonymous memory file, and none of `/dev/shm`.
    pub fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    /// Returns the unit in bytes in which the file takes memory and gives it back. It is a page, or
    /// a huge page if the system gives such pages to the file.
    pub fn page(&self) -> u64 {
        self.page
    }

    /// Gives memory to a range, so that it can be written.
    ///
    /// # Errors
    /// Fails with a full store if there is no memory. A part of the range may be reserved then.
    /// Fails with an invalid handle if the range is not in the file or the descriptor is missing.
    pub fn reserve(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        self.reserve_part(offset, len, len)
    }

    /// Reserves a part of `wanted` bytes, like [`SegmentFile::reserve`]. Errors name that number.
    pub(crate) fn reserve_part(
        &self,
        offset: u64,
        len: u64,
        wanted: u64,
    ) -> Result<(), StoreError> {
        let fd = self.writable(offset, len)?;
        let end = offset + len;
        let mut at = offset;
        while at < end {
            let step = RESERVE_STEP.min(end - at);
            if let Err(errno) = fallocate_patiently(fd, at, step) {
                // Earlier steps stay, and the caller knows this. A hole here could hit memory that
                // was reserved before.
                return Err(self.no_memory(errno, wanted));
            }
            at += step;
        }
        Ok(())
    }

    /// Gives the memory of whole pages in the range back to the system. Their bytes then read as
    /// zeros, and must be reserved again before they are written.
    ///
    /// *Pinned while leased*: no lease on anything there is left, in any process, and the producer
    /// has ended or has these bytes in no use.
    ///
    /// # Errors
    /// Fails if the range is not in the file, the descriptor is missing, or the system refuses.
    pub fn punch(&self, offset: u64, len: u64, _: EnginePromise) -> io::Result<()> {
        self.punch_free(offset, len)
    }

    pub(crate) fn punch_free(&self, offset: u64, len: u64) -> io::Result<()> {
        let fd = self.writable(offset, len).map_err(io::Error::other)?;
        if len == 0 {
            return Ok(());
        }
        let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(rustix::io::retry_on_intr(|| {
            rustix::fs::fallocate(fd, mode, offset, len)
        })?)
    }

    /// Declares the use of the file in this process.
    pub(crate) fn use_as(&self, usage: Usage) -> Result<(), StoreError> {
        usage::declare(&self.usage, usage)
    }

    pub(crate) fn usage(&self) -> &FileUsage {
        &self.usage
    }

    fn writable(&self, offset: u64, len: u64) -> Result<BorrowedFd<'_>, StoreError> {
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(StoreError::invalid_handle(format!(
                "{len} bytes at {offset} are not in a segment of {} bytes",
                self.len
            )));
        }
        let fd = self.write_access().ok_or_else(|| {
            StoreError::invalid_handle("only its producer may reserve or free memory of a segment")
        })?;
        if !self.identity.is_of(fd) {
            let what = "the descriptor of a segment's memory";
            return Err(StoreError::other(descriptors::lost(what)));
        }
        Ok(fd)
    }

    fn no_memory(&self, errno: Errno, wanted: u64) -> StoreError {
        let wanted = ByteCount(wanted);
        match errno {
            Errno::NOSPC if !self.anonymous => {
                let free = ByteCount(free_of(self.as_fd()).unwrap_or(0));
                StoreError::full_because(format!(
                    "shared memory is full: {wanted} wanted, {free} free in {SHM_DIR}; enlarge it \
                     (in Docker: --shm-size), or let the store use anonymous memory"
                ))
            }
            Errno::NOSPC | Errno::NOMEM => StoreError::full_because(format!(
                "the machine has no memory left for the store ({wanted} wanted: {errno}); drop \
                 refs that are not needed any more, or lower Runtime::builder().store_capacity(..) \
                 to get this error earlier"
            )),
            errno => StoreError::other(format!("cannot reserve {wanted} of a segment: {errno}")),
        }
    }
}

impl AsFd for SegmentFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read_only_fd()
    }
}

/// Returns the number of bytes that `/dev/shm` can still hold. It is `u64::MAX` if there is no
/// limit. Returns `None` if there is no `/dev/shm`, or if it is no memory but a directory on a
/// disk.
pub fn shared_memory_free() -> Option<u64> {
    let dir = descriptors::open(SHM_DIR, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    free_of(dir.as_fd())
}

/// Returns the number of free bytes of the memory file system of `fd`.
fn free_of(fd: BorrowedFd<'_>) -> Option<u64> {
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    let fs = rustix::fs::fstatfs(fd).ok()?;
    if u64::try_from(fs.f_type).ok()? != TMPFS_MAGIC {
        return None;
    }
    let fs = rustix::fs::fstatvfs(fd).ok()?;
    // `tmpfs` without a limit reports no blocks at all.
    Some(if fs.f_blocks == 0 {
        u64::MAX
    } else {
        fs.f_bavail.saturating_mul(fs.f_frsize)
    })
}

/// Returns whether a file is none of `/dev/shm`.
fn is_anonymous(stat: &Stat) -> bool {
    !rustix::fs::stat(SHM_DIR).is_ok_and(|dir| dir.st_dev == stat.st_dev)
}

/// Returns the unit in which a file of `len` bytes takes memory. The file system tells it: if it
/// gives huge pages, one reserved byte takes a whole one.
fn page_of(stat: &Stat, len: u64) -> u64 {
    let small = rustix::param::page_size() as u64;
    let own = u64::try_from(stat.st_blksize).unwrap_or(0);
    // A short file would have room for nothing. With pages of 512 MiB, which some systems have,
    // every segment would take more than most runtimes need. In these cases the file may take more
    // memory than is counted.
    if own.is_multiple_of(small) && own <= MOST_PAGE && len / own.max(1) >= LEAST_PAGES {
        own.max(small)
    } else {
        small
    }
}

fn fallocate_patiently(fd: BorrowedFd<'_>, offset: u64, len: u64) -> Result<(), Errno> {
    for _ in 0..RESERVE_TRIES {
        match rustix::fs::fallocate(fd, FallocateFlags::KEEP_SIZE, offset, len) {
            Err(Errno::INTR) => continue,
            result => return result,
        }
    }
    Err(Errno::INTR)
}
