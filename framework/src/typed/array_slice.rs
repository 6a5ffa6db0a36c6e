//! Elements of a stored array that are passed on without a copy.

use std::{
    any::type_name,
    fmt,
    iter::FusedIterator,
    ops::{Bound, Deref, Range, RangeBounds},
};

use mobula_protocol::{Error, Result};
use mobula_store::{Array, Plain};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Consecutive elements of an [`Array`]. [`ObjectRef::slice`](crate::ObjectRef::slice) and
/// [`ObjectRef::chunks`](crate::ObjectRef::chunks) return it.
///
/// It is an argument wherever a remote function takes `&[E]`, `Vec<E>` or `Array<E>`, and can sit
/// inside of any serde value that goes through Mobula. A `&[E]` is read in place: the array travels
/// by reference, with a range. Up to 1 KiB of elements travels as a copy, and so does a slice of an
/// array that is not in the store.
///
/// A slice keeps the whole array in the store for as long as it lives. It dereferences to `[E]`. A
/// slice of a slice refers to the same array.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn mean(samples: &[f64]) -> f64 {
///     samples.iter().sum::<f64>() / samples.len() as f64
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// let rt = Runtime::start()?;
/// let samples: Vec<f64> = (0..10_000).map(f64::from).collect();
/// let samples = rt.put(&samples)?;
/// let means = rt.map_fn(mean::remote, samples.chunks(1_000)?).get()?;
/// assert_eq!(means[9], 9_499.5);
/// # Ok(())
/// # }
/// ```
pub struct ArraySlice<E> {
    array: Array<E>,
    /// The range within the array.
    range: Range<usize>,
}

impl<E> ArraySlice<E> {
    /// Returns the elements of this range of the slice, without a copy.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::start()?;
    /// let numbers = rt.put(&vec![0_u32, 10, 20, 30, 40])?;
    /// let middle = numbers.slice(1..4)?;
    /// assert_eq!(middle[..], [10, 20, 30]);
    /// assert_eq!(middle.slice(1..)?[..], [20, 30]);
    /// assert!(middle.slice(..4).unwrap_err().is_usage());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_usage`: the range ends before it begins, or after the last element.
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<ArraySlice<E>> {
        let (start, end) = (range.start_bound().cloned(), range.end_bound().cloned());
        let start = match start {
            Bound::Included(start) => Some(start),
            Bound::Excluded(before) => before.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let end = match end {
            Bound::Included(last) => last.checked_add(1),
            Bound::Excluded(end) => Some(end),
            Bound::Unbounded => Some(self.len()),
        };
        match (start, end) {
            (Some(start), Some(end)) if start <= end && end <= self.len() => Ok(ArraySlice {
                array: self.array.clone(),
                range: self.range.start + start..self.range.start + end,
            }),
            _ => Err(Error::usage(format!(
                "no slice from {:?} to {:?} of {} elements: a slice ends behind its begin and not \
                 behind the last element",
                range.start_bound(),
                range.end_bound(),
                self.len()
            ))),
        }
    }

    /// Returns slices of `len` elements each; see [`ObjectRef::chunks`](crate::ObjectRef::chunks).
    /// The last slice may be shorter.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(2).start()?;
    /// let numbers = rt.put(&vec![0_u32, 10, 20, 30, 40])?;
    /// let tail = numbers.slice(1..)?;
    /// let lengths: Vec<usize> = tail.chunks(3)?.map(|chunk| chunk.len()).collect();
    /// assert_eq!(lengths, [3, 1]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_usage` if `len` is 0.
    pub fn chunks(&self, len: usize) -> Result<ArrayChunks<E>> {
        if len == 0 {
            return Err(Error::usage(
                "chunks of 0 elements never end: give the number of elements of each",
            ));
        }
        Ok(ArrayChunks {
            rest: self.clone(),
            len,
        })
    }
}

impl<E> ArraySlice<E> {
    /// Returns whether the elements lie in a store.
    pub(crate) fn is_stored(&self) -> bool {
        self.array.as_block().loc().is_some()
    }
}

/// Makes a slice of all elements.
impl<E> From<Array<E>> for ArraySlice<E> {
    fn from(array: Array<E>) -> ArraySlice<E> {
        let range = 0..array.len();
        ArraySlice { array, range }
    }
}

impl<E> Deref for ArraySlice<E> {
    type Target = [E];

    fn deref(&self) -> &[E] {
        &self.array[self.range.clone()]
    }
}

impl<E> Clone for ArraySlice<E> {
    fn clone(&self) -> ArraySlice<E> {
        ArraySlice {
            array: self.array.clone(),
            range: self.range.clone(),
        }
    }
}

impl<E: PartialEq> PartialEq for ArraySlice<E> {
    /// Compares the elements.
    fn eq(&self, other: &ArraySlice<E>) -> bool {
        self[..] == other[..]
    }
}

impl<E: Eq> Eq for ArraySlice<E> {}

impl<E: fmt::Debug> fmt::Debug for ArraySlice<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self[..].fmt(f)
    }
}

impl<E: Plain> Serialize for ArraySlice<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        (&self.array, self.range.start, self.range.end).serialize(serializer)
    }
}

impl<'de, E: Plain> Deserialize<'de> for ArraySlice<E> {
    fn deserialize<D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<ArraySlice<E>, D::Error> {
        let (array, start, end) = <(Array<E>, usize, usize)>::deserialize(deserializer)?;
        ArraySlice::from(array).slice(start..end).map_err(|error| {
            de::Error::custom(format!("`ArraySlice<{}>`: {error}", type_name::<E>()))
        })
    }
}

/// Slices of an array, one after the other. [`ObjectRef::chunks`](crate::ObjectRef::chunks) and
/// [`ArraySlice::chunks`] return it.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(2).start()?;
/// let numbers = rt.put(&(0..10).collect::<Vec<u64>>())?;
/// let mut chunks = numbers.chunks(4)?;
/// assert_eq!(chunks.len(), 3);
/// assert_eq!(chunks.next().unwrap()[..], [0, 1, 2, 3]);
/// # Ok(())
/// # }
/// ```
#[must_use = "iterators do nothing unless they are consumed"]
pub struct ArrayChunks<E> {
    rest: ArraySlice<E>,
    len: usize,
}

impl<E> Iterator for ArrayChunks<E> {
    type Item = ArraySlice<E>;

    fn next(&mut self) -> Option<ArraySlice<E>> {
        let Range { start, end } = self.rest.range;
        if start == end {
            return None;
        }
        let middle = end.min(start.saturating_add(self.len));
        self.rest.range.start = middle;
        Some(ArraySlice {
            array: self.rest.array.clone(),
            range: start..middle,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.rest.len().div_ceil(self.len);
        (left, Some(left))
    }
}

impl<E> ExactSizeIterator for ArrayChunks<E> {}

impl<E> FusedIterator for ArrayChunks<E> {}

impl<E> fmt::Debug for ArrayChunks<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrayChunks")
            .field("left", &self.len())
            .finish_non_exhaustive()
    }
}
