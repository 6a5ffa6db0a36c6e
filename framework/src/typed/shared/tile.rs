//! Rectangles of shared arrays, on their way into calls.

use std::{any::type_name, fmt, marker::PhantomData, ops::Range, sync::Arc};

use mobula_protocol::{Error, Inputs, ObjectHandle, PartRange, Result, TypeTag};
use mobula_store::{LentTile, TileView};

use super::{
    SharedElement,
    lent::{parts_of, region, taken},
};
use crate::promise::ENGINE;

/// A rectangle of a two-dimensional [`SharedArray`](super::SharedArray) that is lent. A remote
/// function takes a tile as `ndarray::ArrayViewMut2<'_, T>` (see [`TileView`]), and writes in
/// place.
///
/// A tile moves and comes back as a [`Part`](crate::Part) does.
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

fn lent_tile<T: SharedElement>(part: &Arc<ObjectHandle>) -> Result<LentTile<T>> {
    let (array, range, of) = parts_of(part)?;
    rectangle(&array, range, of)
}

fn rectangle<T: SharedElement>(
    array: &Arc<ObjectHandle>,
    range: PartRange,
    of: TypeTag,
) -> Result<LentTile<T>> {
    let region = region::<T>(array, of)?;
    let PartRange::Tile {
        rows,
        columns,
        width,
    } = range
    else {
        return Err(Error::type_mismatch(
            "expected a tile of a shared array, found consecutive elements",
        ));
    };
    let span = |(start, end): (u64, u64)| start as usize..end as usize;
    region
        .lend_tile(0, width as usize, span(rows), span(columns), ENGINE)
        .ok_or_else(|| Error::internal(format!("{range} are not in their array")))
}

/// Resolves the next argument, a tile.
///
/// # Errors
/// It is something else.
pub fn lend_tile<T: SharedElement>(inputs: &mut Inputs) -> Result<LentTile<T>> {
    let (array, range, of) = taken(inputs)?;
    rectangle(&array, range, of)
}
