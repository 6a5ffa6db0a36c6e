//! The way in which a heap gets memory for an extent, and fills it.
//!
//! New memory is made in pieces. A piece gets its pages, the pages are entered into the writable
//! mapping, and the bytes are copied there. The kernel's zeros are still in the cache then. Several
//! threads do this side by side.
//!
//! The figures below are for 800 MiB in pages of 4 KiB, on two cores that copy memory at 11 GB/s.
//! They are milliseconds with one thread and with two.
//!
//! - A touch of one byte in each new page through a mapping: 550 and 340.
//! - The reservation of the pages: 170 and 200, since the kernel lets only one thread in.
//! - The entry of the pages into the mapping: 210 and 140.
//! - The copy: 72 and 55.
//! - All of this in pieces: 450 and 240.
//! - A `pwrite` of the bytes into the file instead: 320 and 330.
//!
//! After the `pwrite`, each page faults once when its memory is used again, so the next copy there
//! takes 210 more. The entry of such pages into the mapping at once takes 75 more. It is done by
//! `MADV_POPULATE_READ`, which gives writable pages in a file like this. The sum is about 400,
//! little less than 450.
//!
//! Small extents gain, too, if all memory is entered into the mapping when it is made. They take
//! three quarters of the time.

use std::{ops::Range, sync::Arc};

use crate::{
    Building, Heap, Loc, StoreError, copying,
    extents::{Fit, Pending},
    location::MAX_ALIGN,
    threads,
};

/// The smallest step in which memory is committed, in bytes, if the budget allows it. A system call
/// for every small object would cost more than the object.
const COMMIT_STEP: u64 = 256 << 10;

/// New memory is made in pieces that begin at multiples of this. A piece fits the cache of a core.
/// It has the size of a huge page, which the system may give.
const PIECE: u64 = 2 << 20;

/// The size in bytes from which a gap follows an extent. [`Heap::copy`] makes no gaps. Code that
/// writes beyond the end of its extent then changes no neighbour, and the gap shows the error.
const GAP_FROM: usize = 64 << 10;

/// The length of a gap in bytes.
const GAP: u64 = 4096;

/// The size in bytes from which several threads make new memory.
const SHARE_FROM: u64 = 4 << 20;

impl Heap {
    /// Allocates `len` bytes, aligned to `align` bytes, and at least to 64.
    ///
    /// Takes warm memory first, which was in use before. Its content stays.
    ///
    /// From 64 KiB on, 4 KiB of memory behind the extent belong to no object. If the store is full,
    /// they may be missing.
    ///
    /// # Errors
    /// Fails with a full store if the budget or the system has no memory, even after this heap's
    /// own free memory was given back. Fails with other errors in a forked child, or if `align` is
    /// no power of two or larger than a page of 4 KiB.
    pub fn reserve(self: &Arc<Self>, len: usize, align: usize) -> Result<Building, StoreError> {
        self.check(align)?;
        let fit = Fit::aligned(align);
        let with_gap = Fit { gap: GAP, ..fit };
        if len >= GAP_FROM
            && let Ok((offset, _)) = self.allocate(len as u64, with_gap, None)
        {
            let mut building = self.building(offset, len);
            building.mark_end();
            return Ok(building);
        }
        let (offset, _) = self.allocate(len as u64, fit, None)?;
        Ok(self.building(offset, len))
    }

    /// Allocates like [`Heap::reserve`], and copies `bytes` there.
    ///
    /// This is faster than a later copy. Several threads copy if that helps, and new memory is
    /// filled while it is made.
    ///
    /// # Errors
    /// Fails in the cases of [`Heap::reserve`].
    pub fn copy(self: &Arc<Self>, bytes: &[u8], align: usize) -> Result<Building, StoreError> {
        self.check(align)?;
        let (offset, filled) =
            self.allocate(bytes.len() as u64, Fit::aligned(align), Some(bytes))?;
        let mut building = self.building(offset, bytes.len());
        if !filled {
            copying::copy(building.bytes_mut(), bytes);
        }
        Ok(building)
    }

    pub(crate) fn check(&self, align: usize) -> Result<(), StoreError> {
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
        Ok(())
    }

    pub(crate) fn building(self: &Arc<Self>, offset: u64, len: usize) -> Building {
        let loc = Loc {
            segment: self.id,
            offset,
            len: len as u64,
        };
        Building::new(self.clone(), loc)
    }

    /// Returns the offset of a new extent, and whether it holds `bytes` already.
    pub(crate) fn allocate(
        &self,
        len: u64,
        fit: Fit,
        bytes: Option<&[u8]>,
    ) -> Result<(u64, bool), StoreError> {
        let mut extents = self.extents.lock();
        if let Some(offset) = extents.take_warm(len, fit) {
            return Ok((offset, false));
        }
        let Some(pending) = extents.take_cold(len, fit, COMMIT_STEP) else {
            drop(extents);
            return Err(self.does_not_fit(len));
        };
        drop(extents);
        match self.commit(pending, bytes) {
            Ok(offset) => Ok((offset, bytes.is_some())),
            // Other threads may have freed memory while this thread asked for more.
            Err(error) => {
                let warm = self.extents.lock().take_warm(len, fit);
                warm.map(|offset| (offset, false)).ok_or(error)
            }
        }
    }

    /// Gets memory for a planned extent. Asks first for a generous amount, then for exactly the
    /// needed amount. At last it gives back free memory of this heap and asks again.
    fn commit(&self, mut pending: Pending, bytes: Option<&[u8]>) -> Result<u64, StoreError> {
        let mut result = self.acquire_and_make(&pending, bytes);
        if result.is_err() && pending.has_surplus() {
            self.extents.lock().give_up_surplus(&mut pending);
            result = self.acquire_and_make(&pending, bytes);
        }
        if result.is_err() {
            let spare = self.extents.lock().take_to_cool(pending.bytes());
            if self.cool(spare) > 0 {
                result = self.acquire_and_make(&pending, bytes);
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

    /// Charges the budget, makes the memory and copies `bytes` there. If one step fails, undoes
    /// all.
    fn acquire_and_make(&self, pending: &Pending, bytes: Option<&[u8]>) -> Result<(), StoreError> {
        self.budget.acquire(pending.bytes())?;
        let made = self.make(pending, bytes);
        if made.is_err() {
            // All of these ranges were holes before, so they can be holes again.
            for range in pending.ranges() {
                let _ = self.file.punch_free(range.start, range.end - range.start);
            }
            self.budget.release(pending.bytes());
        }
        made
    }

    fn make(&self, pending: &Pending, bytes: Option<&[u8]>) -> Result<(), StoreError> {
        let cold = pending.ranges().iter().cloned().flat_map(pieces);
        let cold = cold.map(|piece| (piece, true));
        // No other thread has the warm parts of the extent, either.
        let warm = pending.warm().iter().cloned().flat_map(pieces);
        let warm = warm.map(|piece| (piece, false));
        let warm = warm.filter(|_| bytes.is_some());
        let threads = match pending.bytes() {
            SHARE_FROM.. => threads::most(),
            _ => 1,
        };
        threads::share(cold.chain(warm), threads, |(piece, is_cold)| {
            if is_cold {
                let part = piece.end - piece.start;
                self.file.reserve_part(piece.start, part, pending.bytes())?;
                self.writable.populate(piece.clone());
            }
            if let Some(bytes) = bytes {
                let place = pending.place();
                let at = piece.start.max(place.start)..piece.end.min(place.end);
                if at.start < at.end {
                    let from = (at.start - place.start) as usize..(at.end - place.start) as usize;
                    // SAFETY: the piece has memory: it was warm, or was reserved above. It is in
                    // transit, so nobody else has it, and the pieces of one plan do not overlap.
                    unsafe { self.writable.write(at.start, &bytes[from]) };
                }
            }
            Ok(())
        })
    }

    /// Makes holes of ranges that were taken out for this. Returns the number of bytes.
    pub(crate) fn cool(&self, ranges: Vec<Range<u64>>) -> u64 {
        let mut bytes = 0;
        for range in ranges {
            let len = range.end - range.start;
            let punched = self.file.punch_free(range.start, len).is_ok();
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

    /// Returns the error for an extent that has no place in the segment's addresses.
    fn does_not_fit(&self, len: u64) -> StoreError {
        // The budget has better numbers than this heap. It usually refuses that much, too.
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

/// Cuts a range at multiples of [`PIECE`].
fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> + Send {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let end = (at / PIECE + 1).saturating_mul(PIECE).min(range.end);
        let piece = at..end;
        at = end;
        (piece.start < piece.end).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_at_whole_pieces() {
        let cut = |range| pieces(range).collect::<Vec<_>>();
        assert_eq!(cut(5..5), []);
        assert!(pieces(5..9).eq(std::iter::once(5..9)));
        assert_eq!(
            cut(PIECE - 1..3 * PIECE + 2),
            [
                PIECE - 1..PIECE,
                PIECE..2 * PIECE,
                2 * PIECE..3 * PIECE,
                3 * PIECE..3 * PIECE + 2
            ]
        );
        assert_eq!(cut(0..2 * PIECE), [0..PIECE, PIECE..2 * PIECE]);
    }
}
