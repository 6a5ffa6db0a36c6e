//! Parts of shared arrays, on their way into calls.

use std::{any::type_name, fmt, marker::PhantomData, ops::Range, sync::Arc};

use mobula_protocol::{Error, Inputs, ObjectHandle, PartRange, Result, TypeTag};
use mobula_store::Lent;

use super::{
    SharedElement,
    lent::{parts_of, region, taken},
};
use crate::promise::ENGINE;

/// Consecutive elements of a [`SharedArray`](super::SharedArray) that are lent. A remote function
/// takes a part as `&mut [T]`, and writes in place.
///
/// A part moves into the call. It comes back to its array when the call has ended, failed or not,
/// or when it is dropped. [`SharedArray::settle`](super::SharedArray::settle) waits for all parts.
///
/// # Examples
/// ```
/// use mobula::{Part, prelude::*};
///
/// #[remote]
/// fn fill(part: &mut [f64], value: f64) {
///     part.fill(value);
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let array = rt.shared_array::<f64>(100, 0.0)?;
/// let part: Part<f64> = array.part_mut(0..50)?;
/// rt.spawn(fill::remote(part, 1.0)).get()?;
/// assert_eq!(array.with(|all| all.iter().sum::<f64>())?, 50.0);
/// # Ok(())
/// # }
/// ```
#[must_use = "a part that is dropped goes back to its array at once"]
pub struct Part<T> {
    entry: Arc<ObjectHandle>,
    range: Range<usize>,
    element: PhantomData<fn() -> T>,
}

impl<T: SharedElement> Part<T> {
    pub(super) fn new(entry: Arc<ObjectHandle>, range: Range<usize>) -> Part<T> {
        Part {
            entry,
            range,
            element: PhantomData,
        }
    }

    /// Returns the place of the elements in the array.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let array = rt.shared_array::<f64>(100, 0.0)?;
    /// let parts = array.chunks_mut(40)?;
    /// assert_eq!(parts[2].range(), 80..100);
    /// # Ok(())
    /// # }
    /// ```
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Returns the number of elements.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.shared_array::<f64>(100, 0.0)?.part_mut(30..50)?.len(), 20);
    /// # Ok(())
    /// # }
    /// ```
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Returns whether there are no elements.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert!(rt.shared_array::<f64>(100, 0.0)?.part_mut(30..30)?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// Returns the elements, which this process may read and write. The part comes back to its
    /// array when the result is dropped.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let array = rt.shared_array::<f64>(100, 0.0)?;
    /// let mut part = array.part_mut(30..50)?.open()?;
    /// part[0] = 7.0;
    /// drop(part);
    /// assert_eq!(array.with(|all| all[30])?, 7.0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The runtime is gone.
    pub fn open(self) -> Result<OpenPart<T>> {
        let elements = lent(&self.entry)?;
        Ok(OpenPart {
            elements,
            _part: self.entry,
        })
    }

    pub(crate) fn into_entry(self) -> Arc<ObjectHandle> {
        self.entry
    }
}

impl<T> fmt::Debug for Part<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Part<{}>({:?})", type_name::<T>(), self.range)
    }
}

/// A [`Part`] that this process reads and writes. It dereferences to its elements.
///
/// # Examples
/// ```
/// use mobula::{OpenPart, prelude::*};
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let array = rt.shared_array::<u32>(100, 1)?;
/// let mut part: OpenPart<u32> = array.part_mut(0..10)?.open()?;
/// part.iter_mut().for_each(|n| *n += 1);
/// assert_eq!(part.iter().sum::<u32>(), 20);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct OpenPart<T> {
    // The order matters: the loan of the elements ends before the part is back.
    elements: Lent<T>,
    _part: Arc<ObjectHandle>,
}

impl<T: SharedElement> std::ops::Deref for OpenPart<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.elements
    }
}

impl<T: SharedElement> std::ops::DerefMut for OpenPart<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.elements
    }
}

/// A part whose task began and then failed for good: its elements may be half written.
/// [`SharedArray::settle`](super::SharedArray::settle) returns it.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn fails(part: &mut [u32]) -> Result<(), String> {
///     part[0] = 1;
///     Err("half done".to_owned())
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let array = rt.shared_array::<u32>(100, 0)?;
/// fails::remote(array.part_mut(30..50)?).spawn().detach();
/// let incomplete = array.settle()?;
/// assert_eq!(incomplete[0].part.bounds(), Some((30, 50)));
/// assert!(incomplete[0].to_string().contains("half done"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct IncompletePart {
    /// The part: elements, or rows and columns.
    pub part: PartRange,
    /// The failure of the task.
    pub error: Error,
}

impl fmt::Display for IncompletePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part, self.error)
    }
}

fn lent<T: SharedElement>(part: &Arc<ObjectHandle>) -> Result<Lent<T>> {
    let (array, range, of) = parts_of(part)?;
    span(&array, range, of)
}

fn span<T: SharedElement>(
    array: &Arc<ObjectHandle>,
    range: PartRange,
    of: TypeTag,
) -> Result<Lent<T>> {
    let region = region::<T>(array, of)?;
    let PartRange::Span { start, end } = range else {
        return Err(Error::type_mismatch(
            "expected consecutive elements of a shared array, found a tile",
        ));
    };
    let offset = (start as usize).checked_mul(size_of::<T>());
    let count = end.checked_sub(start).map(|count| count as usize);
    offset
        .zip(count)
        .and_then(|(offset, count)| region.lend(offset, count, ENGINE))
        .ok_or_else(|| Error::internal(format!("{range} are not in their array")))
}

/// Resolves the next argument, a part.
///
/// # Errors
/// It is something else.
pub fn lend_part<T: SharedElement>(inputs: &mut Inputs) -> Result<Lent<T>> {
    let (array, range, of) = taken(inputs)?;
    span(&array, range, of)
}
