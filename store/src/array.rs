//! Shared immutable arrays.

use std::{
    any::type_name,
    borrow::Borrow,
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
    ptr::{self, NonNull},
    slice,
};

use crate::{Block, Building, Plain, StoreError, plain::any_pattern};

/// A shared, immutable array. It is cheap to clone, and is read in place, in shared memory or in
/// private memory.
///
/// It dereferences to a slice at no cost.
///
/// # Examples
/// ```
/// # use mobula_store as mobula;
/// use mobula::Array;
///
/// let array = Array::from(vec![1.0, 2.0, 4.0]);
/// let same = array.clone();                       // no copy of the elements
/// assert_eq!(same.iter().sum::<f64>(), 7.0);
/// assert!(same.same_memory(&array));
/// ```
pub struct Array<E> {
    start: NonNull<E>,
    len: usize,
    block: Block,
}

// SAFETY: an array gives out `&E` only, and `block`, which owns the memory, is `Send` and `Sync`.
unsafe impl<E: Send + Sync> Send for Array<E> {}
// SAFETY: as above.
unsafe impl<E: Send + Sync> Sync for Array<E> {}

impl<E: Plain> Array<E> {
    /// Returns a block as elements, in place.
    ///
    /// If not every bit pattern is an `E` (`bool`, `char`, ..) each element is checked. Private
    /// bytes are copied once if they are not aligned for `E`, or lie in the block itself.
    ///
    /// # Errors
    /// Fails with a type mismatch in these cases:
    ///
    /// - the length is no multiple of the element's size;
    /// - a segment's memory is not aligned for `E`;
    /// - an element's bits are no `E`;
    /// - `E` has size zero.
    #[doc(hidden)]
    pub fn from_block(block: Block) -> Result<Array<E>, StoreError> {
        Array::read(block, any_pattern::<E>())
    }

    /// Returns a block as elements, like [`Array::from_block`]. Bits that are `known` to be
    /// elements are not checked.
    fn read(block: Block, known: bool) -> Result<Array<E>, StoreError> {
        let (name, size) = (type_name::<E>(), size_of::<E>());
        whole(&block, name, size)?;
        if block.is_empty() {
            return Ok(Array {
                start: NonNull::dangling(),
                len: 0,
                block,
            });
        }
        // From here on the address of the elements stays.
        let block = block.pinned(align_of::<E>());
        let start = NonNull::from(block.bytes()).cast::<E>();
        if !start.is_aligned() {
            return Err(misaligned(name, align_of::<E>()));
        }
        if !known {
            // `E::Bits` has the layout of `E`, so this cast fits, too.
            let bits: &[E::Bits] = bytemuck::try_cast_slice(block.bytes())
                .map_err(|e| mismatch(name, format_args!("{e}")))?;
            if let Some(bad) = bits.iter().position(|bits| !E::is_valid_bit_pattern(bits)) {
                return Err(mismatch(
                    name,
                    format_args!("the bits at index {bad} are no such value"),
                ));
            }
        }
        let len = block.len() / size;
        Ok(Array { start, len, block })
    }

    /// Seals an extent and returns it as elements. The block's lease is the
    /// [`Extent`](crate::Extent). Bytes that were written as such elements are not checked again.
    ///
    /// # Errors
    /// Fails in the cases of [`Array::from_block`].
    #[doc(hidden)]
    pub fn from_building(building: Building) -> Result<Array<E>, StoreError> {
        if building.is_shared() {
            return Err(StoreError::type_mismatch(
                "memory that other processes are to write cannot be read as an array",
            ));
        }
        // No process writes a sealed extent.
        let known = building.holds::<E>();
        Array::read(building.seal().block(), known)
    }
}

/// Checks that the block holds a whole number of elements of this name. The function is not
/// generic, so programs have it once. It borrows the block, since each move of a block is a copy
/// for which the next one must wait.
fn whole(block: &Block, name: &str, size: usize) -> Result<(), StoreError> {
    if size == 0 {
        return Err(mismatch(
            name,
            format_args!("elements of size zero have no bytes"),
        ));
    }
    if !block.len().is_multiple_of(size) {
        let len = block.len();
        return Err(mismatch(
            name,
            format_args!("{len} bytes are not a whole number of elements of {size}"),
        ));
    }
    Ok(())
}

#[cold]
fn misaligned(name: &str, align: usize) -> StoreError {
    mismatch(
        name,
        format_args!("they are not at a multiple of {align} bytes"),
    )
}

#[cold]
fn mismatch(name: &str, why: fmt::Arguments<'_>) -> StoreError {
    StoreError::type_mismatch(format!("cannot read bytes as elements `{name}`: {why}"))
}

impl<E> Array<E> {
    /// Returns the bytes.
    #[doc(hidden)]
    pub fn as_block(&self) -> &Block {
        &self.block
    }

    /// Returns the elements. Dereferencing does the same.
    ///
    /// # Examples
    /// ```
    /// # use mobula_store as mobula;
    /// use mobula::Array;
    ///
    /// let array = Array::from(vec![1, 2, 3]);
    /// assert_eq!(array.as_slice(), [1, 2, 3]);
    /// ```
    pub fn as_slice(&self) -> &[E] {
        self
    }

    /// Returns whether `slice` is all of this array, by its address.
    ///
    /// # Examples
    /// ```
    /// # use mobula_store as mobula;
    /// use mobula::Array;
    ///
    /// let array = Array::from(vec![1, 2, 3]);
    /// let equal = Array::from(vec![1, 2, 3]);
    /// assert!(array.same_memory(&array.clone()));
    /// assert!(array == equal && !array.same_memory(&equal));
    /// ```
    pub fn same_memory(&self, slice: &[E]) -> bool {
        ptr::eq(self.as_slice(), slice)
    }
}

impl<E> Deref for Array<E> {
    type Target = [E];

    fn deref(&self) -> &[E] {
        // SAFETY: `start` and `len` come from `Array::read` or from a vector. All elements lie in
        // the memory of `block`, which lives as long as `self` and does not move with the block
        // (`Block::pinned`); they are aligned (`Array::read` looks), and valid (looked at,
        // `Building::holds` them, or any bits are an `E`). They stay so: a block of a segment never
        // changes (see `View::bytes`), private memory is behind an `Arc` that gives out `&[u8]`
        // only, and no `E` has a cell inside (it is `Copy`). Those of a vector are valid by
        // themselves. An empty array's dangling address is aligned.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<E> AsRef<[E]> for Array<E> {
    fn as_ref(&self) -> &[E] {
        self
    }
}

impl<E> Borrow<[E]> for Array<E> {
    fn borrow(&self) -> &[E] {
        self
    }
}

impl<E> Clone for Array<E> {
    /// Returns one more owner of the same memory.
    fn clone(&self) -> Array<E> {
        Array {
            start: self.start,
            len: self.len,
            block: self.block.clone(),
        }
    }
}

impl<E> Default for Array<E> {
    /// Returns an array without elements and without an allocation.
    fn default() -> Array<E> {
        Array {
            start: NonNull::dangling(),
            len: 0,
            block: Block::default(),
        }
    }
}

impl<E: Plain> From<Vec<E>> for Array<E> {
    /// Takes over the vector's memory without a copy.
    fn from(vec: Vec<E>) -> Array<E> {
        const {
            assert!(
                size_of::<E>() != 0,
                "an `Array` cannot hold elements of size zero"
            )
        };
        let len = vec.len();
        let block = Block::in_place(vec);
        // The bytes are those of an `[E]`, so they are aligned and valid. A vector without elements
        // gives a block without an address.
        let start = if len == 0 {
            NonNull::dangling()
        } else {
            NonNull::from(block.bytes()).cast()
        };
        Array { start, len, block }
    }
}

impl<E: Plain> From<&[E]> for Array<E> {
    /// Copies the elements.
    fn from(slice: &[E]) -> Array<E> {
        slice.to_vec().into()
    }
}

impl<E: Plain, const N: usize> From<[E; N]> for Array<E> {
    /// Copies the elements.
    fn from(array: [E; N]) -> Array<E> {
        Vec::from(array).into()
    }
}

impl<E: Plain> FromIterator<E> for Array<E> {
    fn from_iter<I: IntoIterator<Item = E>>(iter: I) -> Array<E> {
        Vec::from_iter(iter).into()
    }
}

impl<'a, E> IntoIterator for &'a Array<E> {
    type Item = &'a E;
    type IntoIter = slice::Iter<'a, E>;

    fn into_iter(self) -> slice::Iter<'a, E> {
        self.iter()
    }
}

impl<E: fmt::Debug> fmt::Debug for Array<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl<E: PartialEq> PartialEq for Array<E> {
    fn eq(&self, other: &Array<E>) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<E: Eq> Eq for Array<E> {}

impl<E: Hash> Hash for Array<E> {
    /// Hashes like the slice, for `Borrow`.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

impl<E: PartialEq> PartialEq<[E]> for Array<E> {
    fn eq(&self, other: &[E]) -> bool {
        self.as_slice() == other
    }
}

impl<E: PartialEq> PartialEq<&[E]> for Array<E> {
    fn eq(&self, other: &&[E]) -> bool {
        self.as_slice() == *other
    }
}

impl<E: PartialEq, const N: usize> PartialEq<[E; N]> for Array<E> {
    fn eq(&self, other: &[E; N]) -> bool {
        self.as_slice() == other
    }
}

impl<E: PartialEq> PartialEq<Vec<E>> for Array<E> {
    fn eq(&self, other: &Vec<E>) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<E: PartialEq> PartialEq<Array<E>> for Vec<E> {
    fn eq(&self, other: &Array<E>) -> bool {
        self.as_slice() == other.as_slice()
    }
}
