//! Parts of shared arrays, on their way into calls.

use std::{any::type_name, fmt, marker::PhantomData, ops::Range, sync::Arc};

use mobula_protocol::{
    Engine, Error, Format, Input, Inputs, Lot, ObjectHandle, Result, Side, TypeTag,
};
use mobula_store::{Lent, LentTile, TileView, codec::type_tag};

use super::SharedElement;
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

/// A rectangle of a two-dimensional [`SharedArray`](super::SharedArray) that is lent. A remote
/// function takes a tile as `ndarray::ArrayViewMut2<'_, T>` (see [`TileView`]), and writes in
/// place.
///
/// A tile moves and comes back as a [`Part`] does.
///
/// # Examples
/// ```
/// use mobula::{Tile, prelude::*};
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let image = rt.shared_array::<u8>((480, 640), 0)?;
/// let tiles: Vec<Tile<u8>> = image.tiles_mut(240, 320)?;
/// assert_eq!(tiles.len(), 4);
/// assert_eq!((tiles[3].rows(), tiles[3].columns()), (240..480, 320..640));
/// # Ok(())
/// # }
/// ```
#[must_use = "a tile that is dropped goes back to its array at once"]
pub struct Tile<T> {
    entry: Arc<ObjectHandle>,
    rows: Range<usize>,
    columns: Range<usize>,
    element: PhantomData<fn() -> T>,
}

impl<T: SharedElement> Tile<T> {
    pub(super) fn new(
        entry: Arc<ObjectHandle>,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> Tile<T> {
        Tile {
            entry,
            rows,
            columns,
            element: PhantomData,
        }
    }

    /// Returns the rows of the array that the tile covers.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let image = rt.shared_array::<u8>((480, 640), 0)?;
    /// assert_eq!(image.tiles_mut(100, 640)?[4].rows(), 400..480);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// Returns the columns of the array that the tile covers.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let image = rt.shared_array::<u8>((480, 640), 0)?;
    /// assert_eq!(image.tiles_mut(480, 500)?[1].columns(), 500..640);
    /// # Ok(())
    /// # }
    /// ```
    pub fn columns(&self) -> Range<usize> {
        self.columns.clone()
    }

    /// Returns the elements, row by row, which this process may read and write. The tile comes back
    /// to its array when the result is dropped.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let image = rt.shared_array::<u8>((4, 4), 0)?;
    /// for tile in image.tiles_mut(2, 2)? {
    ///     tile.open()?.row_mut(1)[1] = 1;
    /// }
    /// assert_eq!(image.with(|all| all.iter().filter(|n| **n == 1).count())?, 4);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The runtime is gone.
    pub fn open(self) -> Result<OpenTile<T>> {
        let elements = lent_tile(&self.entry)?;
        Ok(OpenTile {
            elements,
            _part: self.entry,
        })
    }

    pub(crate) fn into_entry(self) -> Arc<ObjectHandle> {
        self.entry
    }
}

impl<T> fmt::Debug for Tile<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, columns) = (&self.rows, &self.columns);
        write!(f, "Tile<{}>({rows:?}, {columns:?})", type_name::<T>())
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
    // In this order: what is lent ends before the part is home.
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

/// A [`Tile`] that this process reads and writes.
///
/// # Examples
/// ```
/// use mobula::{OpenTile, prelude::*};
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let image = rt.shared_array::<u8>((4, 6), 0)?;
/// let mut tile: OpenTile<u8> = image.tiles_mut(4, 3)?.remove(0).open()?;
/// let (rows, columns) = tile.shape();
/// (0..rows).for_each(|row| tile.row_mut(row)[columns - 1] = 7);
/// drop(tile);
/// assert_eq!(image.with(|all| all[..6].to_vec())?, [0, 0, 7, 0, 0, 0]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct OpenTile<T> {
    elements: LentTile<T>,
    _part: Arc<ObjectHandle>,
}

impl<T: SharedElement> OpenTile<T> {
    /// Returns the numbers of rows and columns.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let image = rt.shared_array::<u8>((4, 6), 0)?;
    /// let tile = image.tiles_mut(3, 4)?.remove(1).open()?;
    /// assert_eq!(tile.shape(), (3, 2));
    /// # Ok(())
    /// # }
    /// ```
    pub fn shape(&self) -> (usize, usize) {
        self.elements.shape()
    }

    /// Returns one row of the tile.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let image = rt.shared_array::<u8>((4, 6), 0)?;
    /// let mut tile = image.tiles_mut(2, 6)?.remove(1).open()?;
    /// tile.row_mut(0).fill(7);
    /// drop(tile);
    /// assert_eq!(image.with(|all| all[2 * 6])?, 7);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row_mut(&mut self, row: usize) -> &mut [T] {
        self.elements.row_mut(row)
    }

    /// All of it, as the [`TileView`] that the caller names by a type. Costs no copy.
    ///
    #[cfg_attr(any(feature = "ndarray-0_16", feature = "ndarray-0_17"), doc = "```")]
    #[cfg_attr(
        not(any(feature = "ndarray-0_16", feature = "ndarray-0_17")),
        doc = "```ignore"
    )]
    /// use mobula::prelude::*;
    /// # #[cfg(not(feature = "ndarray-0_16"))]
    /// # use ndarray17 as ndarray;
    /// use ndarray::ArrayViewMut2;
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::start()?;
    /// let array = rt.shared_array::<f64>((4, 6), 1.0)?;
    /// for tile in array.tiles_mut(2, 3)? {
    ///     let mut tile = tile.open()?;
    ///     let mut view: ArrayViewMut2<'_, f64> = tile.view_mut();
    ///     view *= 2.0;
    /// }
    /// assert_eq!(array.with(|all| all.iter().sum::<f64>())?, 48.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn view_mut<'a, V: TileView<'a, T>>(&'a mut self) -> V {
        self.elements.view_mut()
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
/// let torn = array.settle()?;
/// assert_eq!(torn[0].part.bounds(), Some((30, 50)));
/// assert!(torn[0].to_string().contains("half done"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Torn {
    /// The part: elements, or rows and columns.
    pub part: Lot,
    /// The failure of the task.
    pub error: Error,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part, self.error)
    }
}

/// Returns the part that an object stands for, with its array.
fn parts_of(entry: &Arc<ObjectHandle>) -> Result<(Arc<ObjectHandle>, Lot, TypeTag)> {
    entry.wait(None);
    let payload = entry.payload()?;
    let Format::Part { of, lot } = payload.format else {
        return Err(Error::type_mismatch("expected a part of a shared array"));
    };
    match payload.side.into_iter().next() {
        Some(Side::Ref(array)) => Ok((array, *lot, of)),
        _ => Err(Error::internal("a part without its array")),
    }
}

fn lent<T: SharedElement>(part: &Arc<ObjectHandle>) -> Result<Lent<T>> {
    let (array, lot, of) = parts_of(part)?;
    span(&array, lot, of)
}

fn lent_tile<T: SharedElement>(part: &Arc<ObjectHandle>) -> Result<LentTile<T>> {
    let (array, lot, of) = parts_of(part)?;
    rectangle(&array, lot, of)
}

/// Returns the region of an array, if its elements are `T`.
fn region<T: SharedElement>(
    array: &Arc<ObjectHandle>,
    of: TypeTag,
) -> Result<mobula_store::Region> {
    if of != TypeTag(type_tag::<T>()) {
        return Err(Error::type_mismatch(format!(
            "expected a part of elements `{}`, found one of another type",
            type_name::<T>()
        )));
    }
    let engine: Arc<dyn Engine> = array.engine(ENGINE).ok_or_else(Error::shutdown)?;
    engine.need_shared_memory()?.region(array)
}

fn span<T: SharedElement>(array: &Arc<ObjectHandle>, lot: Lot, of: TypeTag) -> Result<Lent<T>> {
    let region = region::<T>(array, of)?;
    let Lot::Span { start, end } = lot else {
        return Err(Error::type_mismatch(
            "expected consecutive elements of a shared array, found a tile",
        ));
    };
    let offset = (start as usize).checked_mul(size_of::<T>());
    let count = end.checked_sub(start).map(|count| count as usize);
    offset
        .zip(count)
        .and_then(|(offset, count)| region.lend(offset, count, ENGINE))
        .ok_or_else(|| Error::internal(format!("{lot} are not in their array")))
}

fn rectangle<T: SharedElement>(
    array: &Arc<ObjectHandle>,
    lot: Lot,
    of: TypeTag,
) -> Result<LentTile<T>> {
    let region = region::<T>(array, of)?;
    let Lot::Tile {
        rows,
        columns,
        width,
    } = lot
    else {
        return Err(Error::type_mismatch(
            "expected a tile of a shared array, found consecutive elements",
        ));
    };
    let range = |(start, end): (u64, u64)| start as usize..end as usize;
    region
        .lend_tile(0, width as usize, range(rows), range(columns), ENGINE)
        .ok_or_else(|| Error::internal(format!("{lot} are not in their array")))
}

/// Returns the part that an argument stands for.
fn taken(inputs: &mut Inputs) -> Result<(Arc<ObjectHandle>, Lot, TypeTag)> {
    let Input::Value(payload, _) = inputs.take()? else {
        return Err(Error::type_mismatch("expected one part of a shared array"));
    };
    let Format::Part { of, lot } = payload.format else {
        return Err(Error::type_mismatch("expected a part of a shared array"));
    };
    match payload.side.into_iter().next() {
        Some(Side::Ref(array)) => Ok((array, *lot, of)),
        _ => Err(Error::internal("a part without its array")),
    }
}

/// Resolves the next argument, a part.
///
/// # Errors
/// It is something else.
pub fn lend_part<T: SharedElement>(inputs: &mut Inputs) -> Result<Lent<T>> {
    let (array, lot, of) = taken(inputs)?;
    span(&array, lot, of)
}

/// Resolves the next argument, a tile.
///
/// # Errors
/// It is something else.
pub fn lend_tile<T: SharedElement>(inputs: &mut Inputs) -> Result<LentTile<T>> {
    let (array, lot, of) = taken(inputs)?;
    rectangle(&array, lot, of)
}
