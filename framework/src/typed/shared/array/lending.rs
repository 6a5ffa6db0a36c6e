//! Lends parts of a shared array, and waits for them.

use std::{ops::Range, sync::Arc};

use mobula_protocol::{Error, IncompleteRange, ObjectHandle, PartRange, Result};

use super::SharedArray;
use crate::{
    ObjectRef,
    typed::{
        codecs::decode_value,
        shared::{
            IncompletePart, Part, SharedElement, Tile,
            split::{span, steps, tile},
        },
    },
};

impl<T: SharedElement> SharedArray<T> {
    /// Lends these ranges of elements, in row-major order of a shaped array.
    ///
    /// The ranges may leave gaps. They must not overlap, with one another or with parts that are
    /// lent already. Costs some hundred nanoseconds for each; in a task also one round trip to the
    /// driver.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn add(part: &mut [u32], n: u32) {
    ///     part.iter_mut().for_each(|element| *element += n);
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let array = rt.shared_array::<u32>(10, 0)?;
    /// let mut parts = array.split_mut([0..2, 5..10])?;
    /// let last = parts.pop().unwrap();
    /// rt.spawn(add::remote(last, 7)).get()?;
    /// drop(parts);
    /// assert_eq!(array.with(<[u32]>::to_vec)?, [0, 0, 0, 0, 0, 7, 7, 7, 7, 7]);
    /// assert!(array.split_mut([0..2, 1..3]).unwrap_err().is_usage());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`is_usage`](Error::is_usage): a range overlaps or is out of bounds. Nothing is lent then.
    pub fn split_mut(
        &self,
        ranges: impl IntoIterator<Item = Range<usize>>,
    ) -> Result<Vec<Part<T>>> {
        let ranges: Vec<Range<usize>> = ranges.into_iter().collect();
        if let Some(bad) = ranges.iter().find(|range| range.start > range.end) {
            return Err(Error::usage(format!(
                "the shared array cannot be split: {bad:?} ends before it begins"
            )));
        }
        let entries = self.lend(ranges.iter().map(span).collect())?;
        let parts = entries.into_iter().zip(ranges);
        Ok(parts
            .map(|(entry, range)| Part::new(entry, range))
            .collect())
    }

    /// Lends one range of elements.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let array = rt.shared_array::<f32>(100, 0.0)?;
    /// let part = array.part_mut(10..20)?;
    /// assert!(array.part_mut(15..25).unwrap_err().is_usage()); // 15 to 19 are lent
    /// drop(part);
    /// assert!(array.part_mut(15..25).is_ok());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`split_mut`](Self::split_mut).
    pub fn part_mut(&self, range: Range<usize>) -> Result<Part<T>> {
        let mut parts = self.split_mut(std::iter::once(range))?;
        parts
            .pop()
            .ok_or_else(|| Error::internal("one range gave no part"))
    }

    /// Lends all of it, in parts of `n` elements. The last part may be shorter.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn square(part: &mut [u64]) {
    ///     part.iter_mut().for_each(|n| *n *= *n);
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let array = rt.shared_array_with(10, |all| all.iter_mut().zip(0_u64..).for_each(|(e, n)| *e = n))?;
    /// rt.get(rt.spawn_all(array.chunks_mut(4)?.into_iter().map(square::remote)))?;
    /// assert_eq!(array.with(|all| all[9])?, 81);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_usage()`: parts are lent already, or `n` is 0.
    pub fn chunks_mut(&self, n: usize) -> Result<Vec<Part<T>>> {
        self.split_mut(steps(self.len(), n)?)
    }

    /// Lends all of it, in parts of `n` rows. This cuts the first dimension, and the elements of a
    /// part are consecutive.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let image = rt.shared_array::<u8>((480, 640), 0)?;
    /// let bands = image.rows_mut(100)?;
    /// assert_eq!(bands.len(), 5);
    /// assert_eq!(bands[4].len(), 80 * 640); // the last band is lower
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`chunks_mut`](Self::chunks_mut).
    pub fn rows_mut(&self, n: usize) -> Result<Vec<Part<T>>> {
        let rows = self.shape.first().copied().unwrap_or(0);
        let row: usize = self.shape.iter().skip(1).product();
        let ranges = steps(rows, n)?.into_iter();
        self.split_mut(ranges.map(|rows| rows.start * row..rows.end * row))
    }

    /// Lends all of a two-dimensional array, in tiles of `rows` by `columns`, row of tiles by row
    /// of tiles. The tiles at the edges may be smaller.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let image = rt.shared_array::<u8>((4, 6), 0)?;
    /// for (n, tile) in image.tiles_mut(2, 3)?.into_iter().enumerate() {
    ///     tile.open()?.row_mut(0).fill(n as u8);
    /// }
    /// assert_eq!(image.with(|all| all[..6].to_vec())?, [0, 0, 0, 1, 1, 1]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_usage()`: parts are lent already, a number is 0, or the array has not two dimensions.
    pub fn tiles_mut(&self, rows: usize, columns: usize) -> Result<Vec<Tile<T>>> {
        let [height, width] = self.two_dimensions()?;
        let columns = steps(width, columns)?;
        let tiles = steps(height, rows)?.into_iter().flat_map(|rows| {
            columns
                .iter()
                .map(move |columns| (rows.clone(), columns.clone()))
        });
        self.split_tiles(tiles)
    }

    /// Lends these rectangles, as ranges of rows and of columns, of a two-dimensional array.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let image = rt.shared_array::<u8>((480, 640), 0)?;
    /// let tiles = image.split_tiles([(0..10, 0..10), (0..10, 630..640)])?;
    /// assert_eq!(tiles[1].columns(), 630..640);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_usage()`: a rectangle overlaps or is out of bounds, or the array has not two dimensions.
    /// Nothing is lent then.
    pub fn split_tiles(
        &self,
        tiles: impl IntoIterator<Item = (Range<usize>, Range<usize>)>,
    ) -> Result<Vec<Tile<T>>> {
        let [height, width] = self.two_dimensions()?;
        let tiles: Vec<_> = tiles.into_iter().collect();
        let outside = |(rows, columns): &&(Range<usize>, Range<usize>)| {
            let bad = |range: &Range<usize>, most| range.start > range.end || range.end > most;
            bad(rows, height) || bad(columns, width)
        };
        if let Some((rows, columns)) = tiles.iter().find(outside) {
            return Err(Error::usage(format!(
                "the shared array cannot be split: rows {rows:?}, columns {columns:?} are not in {height} x {width}"
            )));
        }
        let ranges = tiles.iter();
        let entries = self.lend(
            ranges
                .map(|(rows, columns)| tile(rows, columns, width))
                .collect(),
        )?;
        let tiles = entries.into_iter().zip(tiles);
        Ok(tiles
            .map(|(entry, (rows, columns))| Tile::new(entry, rows, columns))
            .collect())
    }

    fn two_dimensions(&self) -> Result<[usize; 2]> {
        <[usize; 2]>::try_from(&self.shape[..]).map_err(|_| {
            Error::usage(format!(
                "tiles are cut of arrays with two dimensions; this one has the shape {:?}",
                self.shape
            ))
        })
    }

    fn lend(&self, ranges: Vec<PartRange>) -> Result<Vec<Arc<ObjectHandle>>> {
        let handle = self.handle()?;
        handle
            .engine()?
            .need_shared_memory()?
            .lend(handle.entry(), ranges)
    }

    /// Blocks until all parts are back, and returns those that are incomplete.
    ///
    /// A part is incomplete if its task began and then failed for good, so that the elements may be
    /// half written. Elements that were not lent, or came back from a task that succeeded, are
    /// whole. Each incomplete part is reported once.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn halve(part: &mut [u32], by: u32) {
    ///     part.iter_mut().for_each(|n| *n /= by);
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let array = rt.shared_array::<u32>(100, 8)?;
    /// for (part, by) in array.chunks_mut(50)?.into_iter().zip([2, 0]) {
    ///     halve::remote(part, by).spawn().detach();
    /// }
    /// let incomplete = array.settle()?;
    /// assert_eq!(incomplete.len(), 1);
    /// assert!(incomplete[0].error.is_panic()); // division by zero
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The runtime was shut down.
    pub fn settle(&self) -> Result<Vec<IncompletePart>> {
        let entry = self.settling()?;
        entry.wait(None);
        incomplete(&entry)
    }

    /// Does what [`settle`](Self::settle) does, without blocking.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn fill(part: &mut [u32]) {
    ///     part.fill(1);
    /// }
    ///
    /// # #[mobula::main]
    /// # async fn main() -> mobula::Result<()> {
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let array = rt.shared_array::<u32>(100, 0)?;
    /// fill::remote(array.part_mut(0..50)?).spawn().detach();
    /// assert!(array.settled().await?.is_empty());
    /// assert_eq!(array.with(|all| all.iter().sum::<u32>())?, 50);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`settle`](Self::settle).
    pub async fn settled(&self) -> Result<Vec<IncompletePart>> {
        let result: ObjectRef<Vec<IncompleteRange>> = ObjectRef::from_entry(self.settling()?);
        Ok(result
            .await?
            .into_iter()
            .map(IncompletePart::from)
            .collect())
    }

    fn settling(&self) -> Result<Arc<ObjectHandle>> {
        let handle = self.handle()?;
        Ok(handle
            .engine()?
            .need_shared_memory()?
            .settle(handle.entry()))
    }
}

fn incomplete(entry: &Arc<ObjectHandle>) -> Result<Vec<IncompletePart>> {
    let incomplete: Vec<IncompleteRange> = decode_value(entry.payload()?)?;
    Ok(incomplete.into_iter().map(IncompletePart::from).collect())
}

impl From<IncompleteRange> for IncompletePart {
    fn from(incomplete: IncompleteRange) -> IncompletePart {
        IncompletePart {
            part: incomplete.range,
            error: incomplete.error,
        }
    }
}
