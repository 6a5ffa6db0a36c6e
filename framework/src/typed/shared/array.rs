//! Shared arrays that are written in parts.

use std::{
    any::type_name,
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
    ops::Range,
    sync::Arc,
};

use mobula_protocol::{Engine, Error, Format, Lot, ObjectHandle, Result, SharedKind, TornLot};
use mobula_store::{Building, codec::type_tag, is_cell};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Part, SharedElement, Tile, Torn,
    element::{Shape, flat, size_of_shape},
    handle::SharedHandle,
    split::{span, steps, tile},
};
#[cfg(any(feature = "ndarray-0_16", feature = "ndarray-0_17"))]
use crate::typed::{bytes::flat as copied, nd::NdDim, place::Place};
use crate::{
    Array, ObjectRef, Runtime, promise::ENGINE, typed::codecs::decode_value, typed::runtime_api,
};

/// An array in shared memory that tasks write in place, each its own part.
///
/// The handle gives no access to the elements. It [splits](Self::split_mut) the array into parts
/// that do not overlap. A remote function takes a part as `&mut [T]`, and nobody else can read or
/// write these elements until the call has ended. Nothing is copied, and access costs as much as in
/// private memory. Reading while others write needs an [`AtomicArray`](crate::AtomicArray) or a
/// lock.
///
/// A clone is the same array, and so is the handle that arrives in a task or comes out of a value.
/// The memory is freed with the last handle and the last part. Where a handle cannot be dropped,
/// [`free`](Self::free) gives it up.
///
/// # Examples
/// ```
/// use mobula::prelude::*;
///
/// #[remote]
/// fn fill(part: &mut [f64], value: f64) {
///     part.fill(value);
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// let rt = Runtime::start()?;
/// let array = rt.shared_array::<f64>(1_000_000, 0.0)?;
/// for (n, part) in array.chunks_mut(250_000)?.into_iter().enumerate() {
///     fill::remote(part, n as f64).spawn().detach();
/// }
/// let torn = array.settle()?;              // waits until all parts are back
/// assert!(torn.is_empty());
/// assert_eq!(array.with(|all| all[999_999])?, 3.0);
/// let object = array.seal()?;              // from here on an ordinary object, without a copy
/// assert_eq!(object.view()?[250_000], 1.0);
/// # Ok(())
/// # }
/// ```
pub struct SharedArray<T> {
    /// None after [`free`](SharedArray::free).
    handle: Option<SharedHandle>,
    shape: Vec<usize>,
    element: PhantomData<fn() -> T>,
}

impl<T: SharedElement> SharedArray<T> {
    fn new(
        engine: &Arc<dyn Engine>,
        shape: Vec<usize>,
        fill: impl FnOnce(&mut [T]),
    ) -> Result<SharedArray<T>> {
        let (_, bytes) = size_of_shape::<T>(&shape)?;
        let fill = |building: &mut Building| {
            fill(building.elements_mut()?);
            Ok(())
        };
        let handle = SharedHandle::create(engine, kind::<T>(), &shape, bytes, fill)?;
        Ok(SharedArray {
            handle: Some(handle),
            shape,
            element: PhantomData,
        })
    }

    fn handle(&self) -> Result<&SharedHandle> {
        self.handle.as_ref().ok_or_else(freed)
    }

    /// Gives up this handle where it cannot be dropped, because it is a field or in a table.
    ///
    /// All further use of it is an error ([`is_usage`](Error::is_usage)). Freeing it again does
    /// nothing. The memory is given back when the last handle and the last part are
    /// gone.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::start()?;
    /// let mut array = rt.shared_array::<f64>(1_000_000, 0.0)?;
    /// array.free();
    /// array.free();
    /// assert!(array.with(|all| all[0]).unwrap_err().is_usage());
    /// assert_eq!(rt.store().used_bytes(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn free(&mut self) {
        self.handle = None;
    }

    /// Returns the number of elements.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.shared_array::<u8>((20, 30), 0)?.len(), 600);
    /// # Ok(())
    /// # }
    /// ```
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns whether there are no elements.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert!(rt.shared_array::<u8>(0, 0)?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of elements along each dimension.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.shared_array::<u8>((20, 30), 0)?.shape(), [20, 30]);
    /// assert_eq!(rt.shared_array::<u8>(600, 0)?.shape(), [600]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

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
        let lots = tiles.iter();
        let entries = self.lend(
            lots.map(|(rows, columns)| tile(rows, columns, width))
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

    fn lend(&self, lots: Vec<Lot>) -> Result<Vec<Arc<ObjectHandle>>> {
        let handle = self.handle()?;
        handle
            .engine()?
            .need_shared_memory()?
            .lend(handle.entry(), lots)
    }

    /// Blocks until all parts are back, and returns those that are torn.
    ///
    /// A part is torn if its task began and then failed for good, so that the elements may be half
    /// written. Elements that were not lent, or came back from a task that succeeded, are whole.
    /// Each torn part is reported once.
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
    /// let torn = array.settle()?;
    /// assert_eq!(torn.len(), 1);
    /// assert!(torn[0].error.is_panic()); // division by zero
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The runtime was shut down.
    pub fn settle(&self) -> Result<Vec<Torn>> {
        let entry = self.settling()?;
        entry.wait(None);
        torn(&entry)
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
    pub async fn settled(&self) -> Result<Vec<Torn>> {
        let result: ObjectRef<Vec<TornLot>> = ObjectRef::from_entry(self.settling()?);
        Ok(result.await?.into_iter().map(Torn::from).collect())
    }

    fn settling(&self) -> Result<Arc<ObjectHandle>> {
        let handle = self.handle()?;
        Ok(handle
            .engine()?
            .need_shared_memory()?
            .settle(handle.entry()))
    }

    /// Calls `f` with all elements, in this process.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let array = rt.shared_array::<u32>(100, 7)?;
    /// assert_eq!(array.with(|all| all.iter().sum::<u32>())?, 700);
    /// let _part = array.part_mut(0..1)?;
    /// assert!(array.with(|_| ()).unwrap_err().is_usage());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_usage()`: a part is lent.
    pub fn with<R>(&self, f: impl FnOnce(&[T]) -> R) -> Result<R> {
        self.with_mut(|elements| f(elements))
    }

    /// Calls `f` with all elements, which it may write, in this process.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let array = rt.shared_array::<u32>(100, 0)?;
    /// array.with_mut(|all| all[99] = 1)?;
    /// assert_eq!(array.with(|all| all[99])?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `is_usage()`: a part is lent.
    pub fn with_mut<R>(&self, f: impl FnOnce(&mut [T]) -> R) -> Result<R> {
        Ok(f(&mut self.part_mut(0..self.len())?.open()?))
    }

    /// Turns the array into an ordinary object that never changes, without a copy. Up to 4 KiB are
    /// copied.
    ///
    /// The result is pending for some microseconds, until no process can write there any more. It fails
    /// if parts are lent or there are other handles of the array. Clones, handles in values, and
    /// arguments of calls that have not ended are such handles. A handle that the driver's program
    /// gives to a call does not count from then on. A handle that a task gives to a call of its own may
    /// count for some microseconds more.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn sum(numbers: &[u64]) -> u64 {
    ///     numbers.iter().sum()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let array = rt.shared_array::<u64>(1000, 1)?;
    /// let object = array.seal()?;
    /// assert_eq!(rt.spawn(sum::remote(&object)).get()?, 1000);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// There are clones of this handle, or the runtime is gone.
    pub fn seal(self) -> Result<ObjectRef<Array<T>>> {
        let len = self.len();
        let handle = self.handle()?;
        if is_cell(handle.region().loc()) {
            let engine = handle.engine()?;
            return self.with(|elements| {
                runtime_api::put_with(&engine, len, |out: &mut [T]| out.copy_from_slice(elements))
            })?;
        }
        seal(self.handle.ok_or_else(freed)?, flat::<T>(len))
    }

    /// Does what [`seal`](Self::seal) does, and keeps the array's shape.
    ///
    /// `D` is `Ix2`, `IxDyn` or the like, of the `ndarray` whose array the ref is to be of.
    ///
    /// # Examples
    /// ```
    /// use mobula::prelude::*;
    /// # #[cfg(not(feature = "ndarray-0_16"))]
    /// # use ndarray17 as ndarray;
    /// use ndarray::{Array2, Ix2};
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::start()?;
    /// let array = rt.shared_array::<f64>((2, 3), 1.0)?;
    /// let sealed: ObjectRef<Array2<f64>> = array.seal_nd::<Ix2>()?;
    /// assert_eq!(sealed.view()?.view().row(1).sum(), 3.0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`seal`](Self::seal), and `is_usage()` for an array of another number of
    /// dimensions.
    #[cfg(any(feature = "ndarray-0_16", feature = "ndarray-0_17"))]
    pub fn seal_nd<D: NdDim>(self) -> Result<ObjectRef<D::Owned<T>>> {
        if D::NUMBER.is_some_and(|wanted| wanted != self.shape.len()) {
            return Err(Error::usage(format!(
                "this array has the shape {:?}, not {:?} dimensions",
                self.shape,
                D::NUMBER
            )));
        }
        let shape = self.shape.iter().map(|n| *n as u64).collect();
        let handle = self.handle()?;
        let sealed = if is_cell(handle.region().loc()) {
            let engine = handle.engine()?;
            let copy = |elements: &[T]| copied(elements, &self.shape, Place::Of(&engine));
            engine.store().put(self.with(copy)??)?
        } else {
            let Format::Flat { elem, .. } = flat::<T>(0) else {
                return Err(Error::internal("flat is flat"));
            };
            let handle = self.handle.ok_or_else(freed)?;
            seal::<T>(handle, Format::Flat { elem, shape })?.into_entry()
        };
        Ok(ObjectRef::from_entry(sealed))
    }
}

fn freed() -> Error {
    Error::usage("this handle of a shared array was freed, and cannot be used any more")
}

fn kind<T: 'static>() -> (SharedKind, u64) {
    (SharedKind::Array, type_tag::<T>())
}

/// Turns shared memory into an ordinary object.
pub(super) fn seal<T>(handle: SharedHandle, format: Format) -> Result<ObjectRef<Array<T>>> {
    let engine = handle.engine()?;
    // Before the engine has it closed, here too.
    let entry = handle.into_entry();
    if Arc::strong_count(&entry) > 1 {
        return Err(Error::usage(
            "the shared array cannot be sealed: there are clones of this handle, or parts of it, in this process",
        ));
    }
    Ok(ObjectRef::from_entry(
        engine.need_shared_memory()?.seal(&entry, format),
    ))
}

fn torn(entry: &Arc<ObjectHandle>) -> Result<Vec<Torn>> {
    let torn: Vec<TornLot> = decode_value(entry.payload()?)?;
    Ok(torn.into_iter().map(Torn::from).collect())
}

impl From<TornLot> for Torn {
    fn from(torn: TornLot) -> Torn {
        Torn {
            part: torn.lot,
            error: torn.error,
        }
    }
}

impl Runtime {
    /// Makes an array in shared memory that tasks write in place, all elements `init`. `shape` is a
    /// length, `(rows, columns)`, or an array of dimensions.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let line = rt.shared_array::<f64>(1000, 0.5)?;
    /// let cube = rt.shared_array::<u8>([10, 20, 30], 0)?;
    /// assert_eq!((line.len(), cube.len()), (1000, 6000));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`is_store_full`](Error::is_store_full) when there is no room, `is_shutdown` after the
    /// runtime's end.
    pub fn shared_array<T: SharedElement>(
        &self,
        shape: impl Shape,
        init: T,
    ) -> Result<SharedArray<T>> {
        let zero = bytemuck::bytes_of(&init).iter().all(|byte| *byte == 0);
        self.shared_array_with(shape, |elements| {
            // That is what new memory is.
            if !zero {
                elements.fill(init);
            }
        })
    }

    /// Makes an array in shared memory that `fill` fills. It begins as zeros.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let array = rt.shared_array_with(10, |all: &mut [u32]| all[0] = 7)?;
    /// assert_eq!(array.with(|all| (all[0], all[9]))?, (7, 0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`shared_array`](Self::shared_array).
    pub fn shared_array_with<T: SharedElement>(
        &self,
        shape: impl Shape,
        fill: impl FnOnce(&mut [T]),
    ) -> Result<SharedArray<T>> {
        SharedArray::new(self.engine(), shape.dimensions(), fill)
    }
}

impl<T: SharedElement> ObjectRef<Vec<T>> {
    /// Blocks until the elements are there, and copies them, once, into a new array that can be
    /// written.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let object = rt.put(&vec![1_u32, 2, 3])?;
    /// let array = object.to_shared()?;
    /// array.with_mut(|all| all[0] = 10)?;
    /// assert_eq!(array.with(|all| all.iter().sum::<u32>())?, 15);
    /// assert_eq!(object.get()?, [1, 2, 3]); // the object is as it was
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`view`](ObjectRef::view), and `is_store_full()`.
    pub fn to_shared(&self) -> Result<SharedArray<T>> {
        to_shared(self.entry(), &self.view()?)
    }
}

impl<T: SharedElement> ObjectRef<Array<T>> {
    /// Blocks until the elements are there, and copies them, once, into a new array that can be
    /// written.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let ones = rt.put_with(1000, |out: &mut [f64]| out.fill(1.0))?;
    /// let array = ones.to_shared()?;
    /// array.with_mut(|all| all[0] = 0.0)?;
    /// assert_eq!(array.with(|all| all.iter().sum::<f64>())?, 999.0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`view`](ObjectRef::view), and `is_store_full()`.
    pub fn to_shared(&self) -> Result<SharedArray<T>> {
        to_shared(self.entry(), &self.view()?)
    }
}

fn to_shared<T: SharedElement>(entry: &ObjectHandle, elements: &[T]) -> Result<SharedArray<T>> {
    let engine = entry.engine(ENGINE).ok_or_else(Error::shutdown)?;
    let fill = |out: &mut [T]| out.copy_from_slice(elements);
    SharedArray::new(&engine, vec![elements.len()], fill)
}

impl<T> Clone for SharedArray<T> {
    fn clone(&self) -> SharedArray<T> {
        SharedArray {
            handle: self.handle.clone(),
            shape: self.shape.clone(),
            element: PhantomData,
        }
    }
}

impl<T> PartialEq for SharedArray<T> {
    /// Whether both are the same memory.
    fn eq(&self, other: &SharedArray<T>) -> bool {
        match (&self.handle, &other.handle) {
            (Some(own), Some(other)) => own.is_same(other),
            _ => std::ptr::eq(self, other),
        }
    }
}

impl<T> Eq for SharedArray<T> {}

impl<T> Hash for SharedArray<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.handle.as_ref().map(SharedHandle::number).hash(state);
    }
}

impl<T> fmt::Debug for SharedArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedArray<{}>({:?})", type_name::<T>(), self.shape)
    }
}

impl<T: SharedElement> Serialize for SharedArray<T> {
    /// Works for values that go through Mobula only; elsewhere it is an error.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let handle = self.handle().map_err(serde::ser::Error::custom)?;
        handle.serialize::<SharedArray<T>, S>(serializer)
    }
}

impl<'de, T: SharedElement> Deserialize<'de> for SharedArray<T> {
    /// Works for values that go through Mobula only; elsewhere it is an error.
    fn deserialize<D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<SharedArray<T>, D::Error> {
        let (handle, shape) =
            SharedHandle::deserialize::<SharedArray<T>, D>(deserializer, kind::<T>())?;
        match size_of_shape::<T>(&shape) {
            Ok((_, bytes)) if bytes == handle.region().len() => Ok(SharedArray {
                handle: Some(handle),
                shape,
                element: PhantomData,
            }),
            _ => Err(serde::de::Error::custom("a shared array of another length")),
        }
    }
}
