//! Parts of shared arrays, on their way into calls.

use std::{any::type_name, fmt, marker::PhantomData, ops::Range, sync::Arc};

use mobula_protocol::{
    Engine, Error, Format, Input, Inputs, Lot, ObjectHandle, Result, Side, TypeTag,
};
use mobula_store::{Lent, LentTile, TileView, codec::type_tag};

use super::SharedElement;
use crate::promise::ENGINE;

/// Consecutive elements of a [`SharedArray`](super::SharedArray) that are lent: a remote function
/// takes it as `&mut [T]`, and writes in place.
///
/// It is a loan: it moves into the call, and comes home when the call has ended, whether it has
/// failed or not, or when it is dropped. [`SharedArray::settle`](super::SharedArray::settle) waits
/// for all of them.
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

    /// Which elements of the array.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// The elements, to be read and written in this process. The part comes home when the result is
    /// dropped.
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

/// A rectangle of a two-dimensional [`SharedArray`](super::SharedArray) that is lent: a remote
/// function takes it as `ndarray::ArrayViewMut2<'_, T>` (see [`TileView`]), and writes in place.
/// Otherwise as [`Part`].
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

    /// Which rows of the array.
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// Which columns of the array.
    pub fn columns(&self) -> Range<usize> {
        self.columns.clone()
    }

    /// The elements, to be read and written in this process, row by row. The tile comes home when
    /// the result is dropped.
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

/// A [`Part`] in the hands of this process; dereferences to its elements.
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

/// A [`Tile`] in the hands of this process.
#[derive(Debug)]
pub struct OpenTile<T> {
    elements: LentTile<T>,
    _part: Arc<ObjectHandle>,
}

impl<T: SharedElement> OpenTile<T> {
    /// How many rows and columns.
    pub fn shape(&self) -> (usize, usize) {
        self.elements.shape()
    }

    /// One row of the tile.
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
#[derive(Clone, Debug)]
pub struct Torn {
    /// Which part: elements, or rows and columns.
    pub part: Lot,
    /// How the task failed.
    pub error: Error,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part, self.error)
    }
}

/// The part that an object stands for, with its array.
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

/// The region of an array, if its elements are `T`.
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

/// What an argument says about a part.
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
