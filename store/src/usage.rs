//! The use of a memory file in this process.

use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use rustix::fs::Stat;

use crate::StoreError;

/// A file holds either bytes, which do not change while they are read, or atomic words. A process
/// that mapped one file as both could change bytes under a `&[u8]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    Bytes,
    Words,
}

/// The use of one file, decided by its first use. All values for one file share it, and so do its
/// mappings.
pub(crate) type FileUsage = Arc<OnceLock<Usage>>;

/// The files that this process has open or mapped, by device and inode. While an entry is in use
/// the file exists, so its number belongs to no other. Entries of files that are gone leave when a
/// file comes.
static FILES: Mutex<Vec<(FileId, Weak<OnceLock<Usage>>)>> = Mutex::new(Vec::new());

type FileId = (u64, u64);

/// Returns the use of the file of `stat`.
pub(crate) fn of_file(stat: &Stat) -> FileUsage {
    let id = (stat.st_dev, stat.st_ino);
    let mut files = FILES.lock();
    files.retain(|(_, usage)| usage.strong_count() > 0);
    let known = files.iter().find(|(file, _)| *file == id);
    if let Some(usage) = known.and_then(|(_, usage)| usage.upgrade()) {
        return usage;
    }
    let usage = FileUsage::default();
    files.push((id, Arc::downgrade(&usage)));
    usage
}

/// Declares the use of the file in this process.
pub(crate) fn declare(file: &FileUsage, usage: Usage) -> Result<(), StoreError> {
    if *file.get_or_init(|| usage) == usage {
        Ok(())
    } else {
        Err(StoreError::other(
            "a memory file holds either objects or a mailbox, not both",
        ))
    }
}
