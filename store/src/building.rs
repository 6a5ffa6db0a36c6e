//! Extents that are about to become objects.

use std::{
    any::TypeId,
    fmt,
    ops::{Deref, DerefMut},
    slice,
    sync::{Arc, OnceLock},
};

use bytemuck::Zeroable;

use crate::{Block, Heap, Lease, Loc, Plain, StoreError, plain::any_pattern};

/// An extent that its one owner fills. A drop frees it.
///
/// It dereferences to its bytes. They are what was there before: zeros, or the remains of an
/// object.
pub struct Building {
    claim: Claim,
    /// The type of which the bytes are known to be valid elements.
    valid_as: Option<TypeId>,
    /// Whether [`END`] is behind the extent.
    marked: bool,
}

/// The content of a gap behind an extent until the extent is sealed.
const END: [u8; 64] = *b"the end of an extent of Mobula: what writes here wrote too far. ";

/// A sealed extent that is no object yet. A drop frees it, unless it was adopted.
pub struct Extent {
    claim: Claim,
    adopted: OnceLock<Lease>,
}

/// The duty to free an extent.
struct Claim {
    heap: Arc<Heap>,
    loc: Loc,
    /// Whether the duty has ended.
    done: bool,
    /// Whether other processes will write to the extent.
    shared: bool,
}

impl Building {
    pub(crate) fn new(heap: Arc<Heap>, loc: Loc) -> Building {
        Building {
            claim: Claim {
                heap,
                loc,
                done: false,
                shared: false,
            },
            valid_as: None,
            marked: false,
        }
    }

    /// Writes [`END`] into the gap behind an extent.
    pub(crate) fn mark_end(&mut self) {
        let end = self.claim.loc.offset + self.claim.loc.len;
        // SAFETY: the gap has memory (`Fit::gap` is part of what was reserved), and its bytes
        // belong to this extent alone: no handle gives them out, and the table gives them to nobody
        // else before the extent is freed. The process is the heap's own, since the heap has just
        // allocated.
        unsafe { self.claim.heap.writable.write(end, &END) };
        self.marked = true;
    }

    /// Returns whether any code has written behind the extent since [`Building::mark_end`].
    fn is_overrun(&self) -> bool {
        let end = self.claim.loc.offset + self.claim.loc.len;
        let gap = end..end + END.len() as u64;
        let heap = &self.claim.heap;
        // A forked child does not have the mapping.
        if !self.marked || !heap.is_ours() {
            return false;
        }
        let gap = heap.writable.range(gap);
        // SAFETY: as in `mark_end`; nobody has a reference to these bytes.
        gap.is_some_and(|gap| unsafe { gap.cast::<[u8; END.len()]>().read() } != END)
    }

    /// Makes it an extent to which other processes will write.
    pub(crate) fn share(&mut self) {
        self.claim.shared = true;
        self.claim.heap.mark_shared(self.claim.loc);
    }

    /// Returns the bytes, to be written.
    ///
    /// # Panics
    /// Panics in a forked child of the process that made this.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.valid_as = None;
        let (start, len) = self.claim.writable();
        // SAFETY: the extent is this handle's alone until it is sealed: the heap gives out an
        // extent once and takes it back only from its owner (`Claim`), no other process has the
        // segment writable but for shared extents (*one producer*), and nobody has been told of
        // this one: only `seal` gives its location, by which others could ask for a block or a
        // region. It lies in the heap's writable mapping (`Claim::writable` looks), which lives as
        // long as `claim.heap`; it was reserved, so writing cannot fault. The bytes are
        // initialised, as all of a mapping is. The reference borrows `self`, and the mark behind
        // the extent is not part of it.
        unsafe { slice::from_raw_parts_mut(start, len) }
    }

    /// Returns the bytes as elements, to be written.
    ///
    /// If every bit pattern is an `E`, their values are unspecified. They are zeros in new memory,
    /// and the remains of earlier objects of this heap in warm memory. A clear would take as long
    /// as the filling. For other types (`bool`, `char`, ..) the first call sets all elements to
    /// zero.
    ///
    /// # Errors
    /// Fails with a type mismatch if the length is no multiple of the element's size, if the
    /// alignment is not enough, or if `E` has size zero.
    ///
    /// # Panics
    /// Panics in a forked child of the process that made this.
    pub fn elements_mut<E: Plain + Zeroable>(&mut self) -> Result<&mut [E], StoreError> {
        let size = size_of::<E>();
        let (start, len) = self.claim.writable();
        let start = start.cast::<E>();
        if size == 0 || !len.is_multiple_of(size) || (len > 0 && !start.is_aligned()) {
            return Err(StoreError::type_mismatch(format!(
                "an extent of {len} bytes is no sequence of `{}`",
                std::any::type_name::<E>()
            )));
        }
        if len == 0 {
            return Ok(&mut []);
        }
        if !self.holds::<E>() {
            self.bytes_mut().fill(0);
        }
        self.valid_as = Some(TypeId::of::<E>());
        // SAFETY: as in `bytes_mut`; length and alignment were checked. Every element is valid: any
        // bits are an `E` (`any_pattern`), or the bytes were set to zero, which is an `E` by
        // `Zeroable`, and have been written through `&mut [E]` of the same type only since then:
        // `bytes_mut` and a call for another type reset or replace `valid_as`, and the next call
        // for `E` starts from zeros again. What is written here are initialised bytes, since `E`
        // has no padding (`NoUninit`).
        Ok(unsafe { slice::from_raw_parts_mut(start, len / size) })
    }

    /// Returns whether other processes will write to it.
    pub(crate) fn is_shared(&self) -> bool {
        self.claim.shared
    }

    /// Returns whether the bytes are known to be valid elements of this type.
    pub(crate) fn holds<E: Plain>(&self) -> bool {
        any_pattern::<E>() || self.valid_as == Some(TypeId::of::<E>())
    }

    /// Ends the writing.
    ///
    /// # Panics
    /// Panics if any code has written beyond the end of an extent of 64 KiB or more that was
    /// [reserved](Heap::reserve).
    pub fn seal(self) -> Arc<Extent> {
        let len = self.claim.loc.len;
        assert!(
            !self.is_overrun(),
            "something wrote beyond the end of an array of {len} bytes while it was built in the store"
        );
        Arc::new(Extent {
            claim: self.claim,
            adopted: OnceLock::new(),
        })
    }
}

impl Deref for Building {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let (start, len) = self.claim.writable();
        // SAFETY: as in `bytes_mut`; nobody writes while `self` is borrowed.
        unsafe { slice::from_raw_parts(start, len) }
    }
}

impl DerefMut for Building {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes_mut()
    }
}

impl Extent {
    /// Returns its location.
    pub fn loc(&self) -> Loc {
        self.claim.loc
    }

    /// Returns its heap.
    pub fn heap(&self) -> &Arc<Heap> {
        &self.claim.heap
    }

    /// Returns a read-only block of it. The block's lease is the lease that adopted the extent, or
    /// else the extent itself.
    ///
    /// # Panics
    /// Panics if the extent was [reserved as shared](Heap::reserve_shared), since its bytes change.
    pub fn block(self: &Arc<Self>) -> Block {
        let shared = self.claim.shared;
        assert!(
            !shared,
            "{} is shared, and never read as a block",
            self.loc()
        );
        let lease = self.adopted().unwrap_or_else(|| self.clone());
        self.heap().view(self.loc(), lease).unwrap_or_else(|_| {
            // The heap made the location, so it lies in the heap's mapping.
            unreachable!("{} is not in its heap", self.loc())
        })
    }

    /// Makes the extent an object, once. `make` gets its location and returns the lease that owns
    /// the memory from then on. The end of that lease must call [`Heap::free`], and a drop of the
    /// extent only drops the lease. Later callers get this lease, and concurrent ones wait for it.
    ///
    /// `make` must not adopt this extent. If `make` panics, the extent does not change.
    pub fn adopt(&self, make: impl FnOnce(Loc) -> Lease) -> Lease {
        self.adopted
            .get_or_init(|| {
                // This comes before `make`, since `make` may tell other processes, and they may
                // free at once.
                self.heap().mark_adopted(self.loc());
                make(self.loc())
            })
            .clone()
    }

    /// Returns the lease that adopted the extent.
    pub fn adopted(&self) -> Option<Lease> {
        self.adopted.get().cloned()
    }
}

impl Drop for Extent {
    fn drop(&mut self) {
        self.claim.done = self.adopted.get().is_some();
    }
}

impl Claim {
    /// Returns the writable memory of the extent.
    fn writable(&self) -> (*mut u8, usize) {
        let start = self.heap.writable(self.loc);
        let start = start.expect("an object under construction cannot be used in a forked child");
        // The length fits, because the range lies in a mapping.
        (start.as_ptr(), self.loc.len as usize)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.done {
            self.heap.free_owned(self.loc);
        }
    }
}

impl fmt::Debug for Building {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Building({})", self.claim.loc)
    }
}

impl fmt::Debug for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Extent({})", self.claim.loc)
    }
}
