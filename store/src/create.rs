//! The creation of memory files.

use std::{
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{MemfdFlags, Mode, OFlags, SealFlags},
    io::Errno,
    process::Resource,
};
use shared_memory::ShmemConf;

use crate::{
    SegmentFile, StoreError,
    byte_count::ByteCount,
    descriptors,
    file::{SHM_DIR, shared_memory_free},
    limits::Wanted,
    names,
};

/// The kind of file that holds a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backing {
    /// Shared memory if `/dev/shm` has room, else an anonymous memory file.
    #[default]
    Auto,
    /// A file in `/dev/shm`, made by the `shared_memory` crate. Its size counts against the limit
    /// of that file system. That is 64 MB in a Docker container with the default options.
    SharedMemory,
    /// A memory file without a name (`memfd_create`). Only the machine's memory and the cgroup's
    /// limit bound it.
    Anonymous,
    /// A file like that of [`Backing::Auto`], but without a name at any moment. If `/dev/shm` has
    /// room it is an unnamed file there.
    Unnamed,
}

impl SegmentFile {
    /// Makes a sparse file of `len` bytes, rounded up to whole pages. At most `needed` bytes of it
    /// will be in use at any moment. [`Backing::Auto`] decides by that number.
    ///
    /// The file has no name when this returns, and its descriptors are closed on `exec`. A file of
    /// [`Backing::SharedMemory`] has a name for some microseconds. A process that is killed then
    /// leaves an empty file. The next process of the user that makes such a file removes it.
    ///
    /// # Errors
    /// Fails if the system refuses the file, or if `len` is 0.
    pub fn create(len: u64, needed: u64, backing: Backing) -> Result<SegmentFile, StoreError> {
        let len = checked_len(len)?;
        match backing {
            Backing::SharedMemory => create_shared(len),
            Backing::Anonymous => create_anonymous(len),
            Backing::Auto if shared_memory_free().is_some_and(|free| free >= needed) => {
                create_shared(len).or_else(|_| create_anonymous(len))
            }
            Backing::Unnamed if shared_memory_free().is_some_and(|free| free >= needed) => {
                create_unnamed(len).or_else(|_| create_anonymous(len))
            }
            Backing::Auto | Backing::Unnamed => create_anonymous(len),
        }
    }
}

/// Returns `len` in whole pages, if the process may make a file of that size.
fn checked_len(len: u64) -> Result<u64, StoreError> {
    let page = rustix::param::page_size() as u64;
    let rounded = len
        .checked_next_multiple_of(page)
        .filter(|&len| len > 0 && i64::try_from(len).is_ok() && usize::try_from(len).is_ok())
        .ok_or_else(|| StoreError::other(format!("a segment cannot have {len} bytes")))?;
    // Beyond this limit the kernel ends the process by a signal.
    if let Some(limit) = rustix::process::getrlimit(Resource::Fsize).current
        && limit < rounded
    {
        return Err(StoreError::limit(format!(
            "a segment of {} is larger than the process may make files ({}); raise `ulimit -f`, or use a smaller `store_capacity`",
            ByteCount(rounded),
            ByteCount(limit),
        )));
    }
    Ok(rounded)
}

fn create_shared(len: u64) -> Result<SegmentFile, StoreError> {
    let failed = |what: &str, e: &dyn std::fmt::Display| {
        StoreError::other(format!(
            "cannot {what} shared memory of {}: {e}",
            ByteCount(len)
        ))
    };
    let size = usize::try_from(len).map_err(|e| failed("create", &e))?;
    names::sweep(Path::new(SHM_DIR));
    let name = names::fresh();
    let path = format!("{SHM_DIR}{name}");
    let open = |access: OFlags| {
        let flags = access | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        descriptors::open(&path, flags, Mode::empty()).map_err(|e| failed("open", &e))
    };
    let opened = names::while_named(|| {
        // The mode is 0600, with close-on-exec. `shmem` removes the name when it goes out of scope,
        // on every path. It would not do so if its descriptor were 0.
        let create = || ShmemConf::new().os_id(&name).size(size).create();
        let shmem = descriptors::with_standard_in_use(create).map_err(|e| failed("create", &e))?;
        let opened = (open(OFlags::RDONLY)?, open(OFlags::RDWR)?);
        drop(shmem);
        Ok(opened)
    });
    let (read_only, read_write) =
        opened.ok_or_else(|| failed("create", &"the process is about to exit"))??;
    SegmentFile::new(read_only, Some(read_write), len)
}

/// Makes a file in `/dev/shm` to which no process can give a name.
fn create_unnamed(len: u64) -> Result<SegmentFile, StoreError> {
    let failed = |what: &str, e: Errno| {
        StoreError::other(format!("cannot {what} an unnamed file in {SHM_DIR}: {e}"))
    };
    let flags = OFlags::TMPFILE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
    let read_write = descriptors::open(SHM_DIR, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|e| failed("create", e))?;
    rustix::fs::ftruncate(&read_write, len).map_err(|e| failed("size", e))?;
    let read_only = reopen(&read_write)
        .map_err(|e| failed("reopen (through /proc, which must be mounted)", e))?;
    SegmentFile::new(read_only, Some(read_write), len)
}

fn create_anonymous(len: u64) -> Result<SegmentFile, StoreError> {
    let failed = |what: &str, e: Errno| {
        let what = format!("cannot {what} an anonymous memory file");
        StoreError::refused(what, Wanted::Descriptor, e)
    };
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let create = |flags| descriptors::memory_file("mobula", flags);
    let read_write = create(flags | MemfdFlags::NOEXEC_SEAL)
        // Kernels before 6.3 do not know that flag.
        .or_else(|e| {
            if e == Errno::INVAL {
                create(flags)
            } else {
                Err(e)
            }
        })
        .map_err(|e| failed("create", e))?;
    rustix::fs::ftruncate(&read_write, len).map_err(|e| failed("size", e))?;
    // From here on no process can shorten the file under the mappings of others.
    rustix::fs::fcntl_add_seals(&read_write, SealFlags::SHRINK | SealFlags::GROW)
        .map_err(|e| failed("seal", e))?;
    let read_only = reopen(&read_write).map_err(|e| match e {
        Errno::NOENT | Errno::ACCESS => failed("reopen, through /proc, which must be mounted,", e),
        e => failed("reopen", e),
    })?;
    SegmentFile::new(read_only, Some(read_write), len)
}

/// Returns a descriptor for reading only.
fn reopen(read_write: &OwnedFd) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/self/fd/{}", read_write.as_raw_fd());
    descriptors::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}
