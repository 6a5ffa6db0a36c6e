//! Memory that several processes write to, from the side of one of them.

mod tile_view;

use std::{
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut, Range},
    ptr::NonNull,
    slice,
    sync::Arc,
};

use bytemuck::Pod;

pub use tile_view::TileView;

use crate::{EnginePromise, Lease, Loc, SharedAtomic, StoreError};

/// A keeper: its memory stays mapped and writable.
pub(crate) trait Keep: Send + Sync {}

/// A shared extent, writable in this process. A clone is a reference count.
///
/// It never gives out its bytes. The things that it gives out rest on promises of the engine, which
/// are called *one use* and *lent once* (see the crate's documentation).
#[derive(Clone)]
pub struct Region {
    start: NonNull<u8>,
    len: usize,
    loc: Loc,
    _keep: Arc<Kept>,
}

struct Kept {
    /// This is dropped before the lease, since the mapping may be closed at once after the end of
    /// the lease.
    _mapping: Arc<dyn Keep>,
    _lease: Lease,
}

// SAFETY: an address in a mapping of the process, which `keep` keeps; not tied to a thread. What
// the methods give out argues for itself.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Returns a region. `start` is the address of the extent in a writable mapping that `mapping`
    /// keeps. [`Heap::region`](crate::Heap::region) calls this, and checks that the extent is
    /// shared. [`Writables::open`](crate::Writables::open) calls it, too, and its callers promise
    /// that.
    pub(crate) fn new(
        start: NonNull<u8>,
        loc: Loc,
        mapping: Arc<dyn Keep>,
        lease: Lease,
    ) -> Result<Region, StoreError> {
        let len = usize::try_from(loc.len)
            .map_err(|_| StoreError::invalid_handle(format!("{loc}, which is too long")))?;
        let keep = Arc::new(Kept {
            _lease: lease,
            _mapping: mapping,
        });
        Ok(Region {
            start,
            len,
            loc,
            _keep: keep,
        })
    }

    /// Returns its location.
    pub fn loc(&self) -> Loc {
        self.loc
    }

    /// Returns the number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns `count` atomics from byte `offset` on. Returns `None` if they do not fit, or are not
    /// aligned there.
    ///
    /// *One use*: no byte of them is ever used except as a part of these atomics.
    #[inline]
    pub fn atomics<A: SharedAtomic>(
        &self,
        offset: usize,
        count: usize,
        _: EnginePromise,
    ) -> Option<&[A]> {
        let start = self.place::<A>(offset, count)?;
        // SAFETY: the range lies in the extent and is aligned (`place`), and is mapped writable as
        // long as `self` (`Kept`). Every bit pattern is an `A`, for the trait is sealed and its
        // types are integers' atomics in transparent wrappers. All accesses anywhere are through
        // such atomics, so shared references may overlap in all processes: the caller's
        // `EnginePromise` says so (*one use*; see `promise.rs` of the crates that make one).
        Some(unsafe { slice::from_raw_parts(start.as_ptr(), count) })
    }

    /// Returns `count` elements from byte `offset` on, to be read and written. Returns `None` if
    /// they do not fit, or are not aligned there.
    ///
    /// *Lent once*: while the result lives, no other code in any process has these bytes.
    pub fn lend<E: Pod>(&self, offset: usize, count: usize, _: EnginePromise) -> Option<Lent<E>> {
        let start = self.place::<E>(offset, count)?;
        Some(Lent {
            start,
            len: count,
            region: self.clone(),
        })
    }

    /// Lends like [`lend`](Region::lend), but at most while `self` is borrowed. Costs no reference
    /// count.
    #[inline]
    pub fn lend_ref<E: Pod>(
        &self,
        offset: usize,
        count: usize,
        _: EnginePromise,
    ) -> Option<LentRef<'_, E>> {
        let start = self.place::<E>(offset, count)?;
        Some(LentRef {
            start,
            len: count,
            region: PhantomData,
        })
    }

    /// Lends like [`lend_ref`](Region::lend_ref), for reading only. Others may read at the same
    /// time. *Lent once* means for all of them that no code writes.
    #[inline]
    pub fn share<E: Pod>(
        &self,
        offset: usize,
        count: usize,
        _: EnginePromise,
    ) -> Option<SharedRef<'_, E>> {
        let start = self.place::<E>(offset, count)?;
        Some(SharedRef {
            start,
            len: count,
            region: PhantomData,
        })
    }

    /// Returns a rectangle of an array of `width` columns that begins at byte `offset`. Returns
    /// `None` if it does not fit.
    ///
    /// *Lent once*, for its elements.
    pub fn lend_tile<E: Pod>(
        &self,
        offset: usize,
        width: usize,
        rows: Range<usize>,
        columns: Range<usize>,
        _: EnginePromise,
    ) -> Option<LentTile<E>> {
        if columns.end > width || columns.start > columns.end || rows.start > rows.end {
            return None;
        }
        // The memory has all rows up to the last one of the tile.
        let all = self.place::<E>(offset, rows.end.checked_mul(width)?)?;
        let first = match rows.is_empty() || columns.is_empty() {
            true => NonNull::dangling(),
            // SAFETY: the first element of the tile is one of the `rows.end * width` ones at `all`.
            false => unsafe { all.add(rows.start * width + columns.start) },
        };
        Some(LentTile {
            start: first,
            rows: rows.len(),
            columns: columns.len(),
            width,
            region: self.clone(),
        })
    }

    /// Returns the address of `count` values at a byte offset.
    fn place<T>(&self, offset: usize, count: usize) -> Option<NonNull<T>> {
        let bytes = count.checked_mul(size_of::<T>())?;
        if offset.checked_add(bytes)? > self.len || size_of::<T>() == 0 {
            return None;
        }
        // SAFETY: `offset` is at most `len`, so this is in the extent or one past its end.
        let start = unsafe { self.start.add(offset) }.cast::<T>();
        start.is_aligned().then_some(start)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({})", self.loc)
    }
}

/// Elements of a shared extent that belong to this handle alone. They belong to no code after its
/// drop.
pub struct Lent<E> {
    start: NonNull<E>,
    len: usize,
    region: Region,
}

// SAFETY: owns its elements, as a `Box<[E]>` does, for as long as it lives (*lent once*).
unsafe impl<E: Send> Send for Lent<E> {}
// SAFETY: as above.
unsafe impl<E: Sync> Sync for Lent<E> {}

impl<E: Pod> Lent<E> {
    /// Returns the extent that they are part of.
    pub fn region(&self) -> &Region {
        &self.region
    }
}

impl<E: Pod> Deref for Lent<E> {
    type Target = [E];

    #[inline]
    fn deref(&self) -> &[E] {
        // SAFETY: `Region::place` checked range and alignment; any bits are an `E`; the memory is
        // mapped as long as `region`. Nobody else writes there (*lent once*).
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<E: Pod> DerefMut for Lent<E> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [E] {
        // SAFETY: as for `deref`; nobody else reads there, either, and `self` is borrowed. What is
        // written has no padding (`Pod`).
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<E> fmt::Debug for Lent<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lent({} elements of {})", self.len, self.region.loc)
    }
}

/// Elements like those of [`Lent`], at most while the region is borrowed.
pub struct LentRef<'r, E> {
    start: NonNull<E>,
    len: usize,
    region: PhantomData<&'r Region>,
}

// SAFETY: as for `Lent`.
unsafe impl<E: Send> Send for LentRef<'_, E> {}
// SAFETY: as above.
unsafe impl<E: Sync> Sync for LentRef<'_, E> {}

impl<E: Pod> Deref for LentRef<'_, E> {
    type Target = [E];

    #[inline]
    fn deref(&self) -> &[E] {
        // SAFETY: as for `Lent`; the region outlives `self`.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<E: Pod> DerefMut for LentRef<'_, E> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [E] {
        // SAFETY: as for `Lent`; the region outlives `self`.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<E> fmt::Debug for LentRef<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LentRef({} elements)", self.len)
    }
}

/// Elements of a shared extent that no code writes while this lives.
pub struct SharedRef<'r, E> {
    start: NonNull<E>,
    len: usize,
    region: PhantomData<&'r Region>,
}

// SAFETY: gives out `&E` only, and others may have the same elements: so it is as a `&[E]`, which
// may go to other threads where `E` is `Sync`.
unsafe impl<E: Sync> Send for SharedRef<'_, E> {}
// SAFETY: as above.
unsafe impl<E: Sync> Sync for SharedRef<'_, E> {}

impl<E: Pod> Deref for SharedRef<'_, E> {
    type Target = [E];

    #[inline]
    fn deref(&self) -> &[E] {
        // SAFETY: as for `Lent`; the region outlives `self`. Nobody writes there as long as `self`
        // lives (*lent once*).
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<E> fmt::Debug for SharedRef<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedRef({} elements)", self.len)
    }
}

/// A rectangle of a shared array of rows that belongs to this handle alone.
pub struct LentTile<E> {
    start: NonNull<E>,
    rows: usize,
    columns: usize,
    /// The number of elements from a row to the next.
    width: usize,
    region: Region,
}

// SAFETY: as for `Lent`: it owns the elements of the rectangle.
unsafe impl<E: Send> Send for LentTile<E> {}
// SAFETY: as above.
unsafe impl<E: Sync> Sync for LentTile<E> {}

impl<E: Pod> LentTile<E> {
    /// Returns the number of rows and of columns.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// Returns one row of the rectangle.
    ///
    /// # Panics
    /// Panics if there is no such row.
    pub fn row_mut(&mut self, row: usize) -> &mut [E] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        if self.columns == 0 {
            return &mut [];
        }
        // SAFETY: `Region::lend_tile` checked that all rows lie in the extent, and alignment; these
        // are the elements of one row of the rectangle, of which `self` is borrowed as a whole.
        // Else as for `Lent`.
        unsafe {
            let start = self.start.as_ptr().add(row * self.width);
            slice::from_raw_parts_mut(start, self.columns)
        }
    }

    /// Returns all of it, in the form that the caller's type names.
    pub fn view_mut<'a, V: TileView<'a, E>>(&'a mut self) -> V {
        V::of(self)
    }
}

impl<E> fmt::Debug for LentTile<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, columns) = (self.rows, self.columns);
        write!(f, "LentTile({rows} x {columns} of {})", self.region.loc)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, marker::PhantomData};

    use super::*;

    /// Implemented once for types that are not `Send`. Other types have two implementations, which
    /// is ambiguous.
    trait NotSend<Case> {
        const SO: bool = true;
    }
    struct Any;
    struct IfSend;
    impl<T> NotSend<Any> for T {}
    impl<T: Send> NotSend<IfSend> for T {}

    /// A type that may go to another thread, but may not be shared by two.
    #[derive(Clone, Copy)]
    #[repr(transparent)]
    struct OfOneThread(u64, PhantomData<Cell<u64>>);
    // SAFETY: transparent over an integer.
    unsafe impl bytemuck::Zeroable for OfOneThread {}
    // SAFETY: as above.
    unsafe impl Pod for OfOneThread {}

    #[test]
    fn what_several_threads_may_read_needs_elements_that_they_may_share() {
        fn is_send<T: Send>() {}
        is_send::<OfOneThread>();
        is_send::<LentRef<'_, OfOneThread>>();
        is_send::<SharedRef<'_, u64>>();
        const { assert!(<SharedRef<'static, OfOneThread> as NotSend<_>>::SO) };
    }
}
