//! Atomics of a shared extent, located once.

use std::{fmt, ops::Deref, ptr::NonNull, slice};

use crate::{EnginePromise, Region, SharedAtomic};

/// Atomics of a [`Region`], which it keeps. A dereference costs nothing. A clone is a reference
/// count.
pub struct AtomicSlice<A> {
    start: NonNull<A>,
    len: usize,
    region: Region,
}

// SAFETY: gives out `&A` only, and the region, which keeps the memory, is `Send` and `Sync`.
unsafe impl<A: Sync> Send for AtomicSlice<A> {}
// SAFETY: as above.
unsafe impl<A: Sync> Sync for AtomicSlice<A> {}

impl<A: SharedAtomic> AtomicSlice<A> {
    /// Returns atomics of a region: see [`Region::atomics`].
    pub fn new(
        region: &Region,
        offset: usize,
        count: usize,
        engine: EnginePromise,
    ) -> Option<AtomicSlice<A>> {
        let atomics = region.atomics::<A>(offset, count, engine)?;
        Some(AtomicSlice {
            start: NonNull::from(atomics).cast(),
            len: count,
            region: region.clone(),
        })
    }
}

impl<A> Deref for AtomicSlice<A> {
    type Target = [A];

    #[inline]
    fn deref(&self) -> &[A] {
        // SAFETY: these are the atomics that `Region::atomics` gave, which are there as long as the
        // region, at addresses that do not change.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<A> Clone for AtomicSlice<A> {
    fn clone(&self) -> AtomicSlice<A> {
        AtomicSlice {
            start: self.start,
            len: self.len,
            region: self.region.clone(),
        }
    }
}

impl<A> fmt::Debug for AtomicSlice<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AtomicSlice({} of {:?})", self.len, self.region)
    }
}
