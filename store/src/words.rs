//! Memory that processes share as atomic words: mailboxes.

use std::{
    slice,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64},
    },
};

use crate::{StoreError, file::SegmentFile, map::Mapping, usage::Usage};

/// A writable mapping of a file that all its processes use as atomic words only.
///
/// The first [`SharedWords::NARROW_BYTES`] bytes are 32-bit words (for futexes), the rest are
/// 64-bit words. The two never overlap, because atomic accesses of different sizes to the same
/// memory must not race. New words are zero.
#[derive(Debug)]
pub struct SharedWords {
    mapping: Mapping,
}

impl SharedWords {
    /// The number of bytes at the beginning that are 32-bit words.
    pub const NARROW_BYTES: usize = 4096;

    /// Maps the whole file, and reserves its memory first.
    ///
    /// # Errors
    /// Fails if the file is too short for a 64-bit word, or if this process does not have the
    /// writable descriptor. Fails if there is no memory for it, or if it is in use as a segment of
    /// objects.
    pub fn map(file: &SegmentFile) -> Result<Arc<SharedWords>, StoreError> {
        if file.len() < Self::NARROW_BYTES as u64 + 8 {
            return Err(StoreError::invalid_handle(format!(
                "a mailbox of {} bytes is too short",
                file.len()
            )));
        }
        file.reserve(0, file.len())?;
        let mapping = Mapping::read_write(file, Usage::Words)?;
        Ok(Arc::new(SharedWords { mapping }))
    }

    /// Returns the 64-bit words: all memory after the first [`Self::NARROW_BYTES`] bytes.
    #[inline]
    pub fn words(&self) -> &[AtomicU64] {
        let bytes = self.mapping.len() - Self::NARROW_BYTES;
        // SAFETY: the range lies in the mapping, which lives as long as `self`, and `map` checked
        // that it is longer than the narrow words; its start is a multiple of 4096 from a page's
        // start, so aligned. Any bits are a valid word. The memory is accessed through words of
        // these sizes only: `usage` keeps this process from mapping the file as bytes, whichever
        // `SegmentFile` stands for it; and another process can only have it by a writable
        // descriptor. *One producer* gives that to the two sides of a mailbox, which use this same
        // type.
        unsafe {
            let start = self.mapping.start().add(Self::NARROW_BYTES);
            slice::from_raw_parts(start.cast().as_ptr(), bytes / 8)
        }
    }

    /// Returns the 32-bit words: the first [`Self::NARROW_BYTES`] bytes.
    #[inline]
    pub fn narrow_words(&self) -> &[AtomicU32] {
        let start = self.mapping.start();
        // SAFETY: as for `words`; `map` checked that the file is longer than that.
        unsafe { slice::from_raw_parts(start.cast().as_ptr(), Self::NARROW_BYTES / 4) }
    }

    /// Returns the 32-bit word at a byte offset. Returns `None` at or beyond
    /// [`Self::NARROW_BYTES`], and at an offset that is no multiple of four.
    #[inline]
    pub fn word32(&self, byte_offset: usize) -> Option<&AtomicU32> {
        if !byte_offset.is_multiple_of(4) {
            return None;
        }
        self.narrow_words().get(byte_offset / 4)
    }
}
