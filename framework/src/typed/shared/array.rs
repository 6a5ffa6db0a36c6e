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
/// The handle itself gives no access to the elements. It [splits](Self::split_mut) the array into
/// parts that do not overlap; a remote function takes a part as `&mut [T]`, and nobody else can
/// read or write these elements until the call has ended. Nothing is copied, and access costs what
/// it costs in private memory. Reading while others write is possible with an
/// [`AtomicArray`](crate::AtomicArray) or under a lock only.
///
/// A clone is the same array, and so is what arrives in a task or comes out of a value. The memory
/// is freed with the last handle and the last part, or where handles cannot be dropped with
/// [`free`](Self::free).
///
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

    /// Gives up this handle, where it cannot be dropped: because it is a field, or in a table. All
    /// further use of it is an error ([`is_usage`](Error::is_usage)); to free it again does
    /// nothing. As with a drop, the memory is given back when the last handle and the last part are
    /// gone.
    ///
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

    /// How many elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many elements there are along each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Lends these ranges of elements, in row-major order of a shaped array. They may leave gaps,
    /// but must not overlap, with one another or with parts that are lent already. Costs some
    /// hundred nanoseconds for each; in a task also one round trip to the driver.
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
    /// # Errors
    /// As for [`split_mut`](Self::split_mut).
    pub fn part_mut(&self, range: Range<usize>) -> Result<Part<T>> {
        let mut parts = self.split_mut(std::iter::once(range))?;
        parts
            .pop()
            .ok_or_else(|| Error::internal("one range gave no part"))
    }

    /// Lends all of it, in parts of `n` elements (the last one may be shorter).
    ///
    /// # Errors
    /// `is_usage()`: parts are lent already, or `n` is 0.
    pub fn chunks_mut(&self, n: usize) -> Result<Vec<Part<T>>> {
        self.split_mut(steps(self.len(), n)?)
    }

    /// Lends all of it, in parts of `n` rows: the first dimension is cut, the elements of a part
    /// are consecutive.
    ///
    /// # Errors
    /// As for [`chunks_mut`](Self::chunks_mut).
    pub fn rows_mut(&self, n: usize) -> Result<Vec<Part<T>>> {
        let rows = self.shape.first().copied().unwrap_or(0);
        let row: usize = self.shape.iter().skip(1).product();
        let ranges = steps(rows, n)?.into_iter();
        self.split_mut(ranges.map(|rows| rows.start * row..rows.end * row))
    }

    /// Lends all of a two-dimensional array, in tiles of `rows` by `columns` (those at the edges
    /// may be smaller), row of tiles by row of tiles.
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
    /// # Errors
    /// `is_usage()`: one overlaps or is out of bounds, or the array has not two dimensions. Nothing
    /// is lent then.
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

    /// Blocks until all parts are back, and says which of them are torn: whose task began and then
    /// failed for good, so that the elements may be half written. What was not lent, or came back
    /// from a task that succeeded, is whole. Each torn part is reported once.
    ///
    /// # Errors
    /// The runtime was shut down.
    pub fn settle(&self) -> Result<Vec<Torn>> {
        let entry = self.settling()?;
        entry.wait(None);
        torn(&entry)
    }

    /// As [`settle`](Self::settle), without blocking.
    ///
    /// # Errors
    /// As for `settle`.
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
    /// # Errors
    /// `is_usage()`: a part is lent.
    pub fn with<R>(&self, f: impl FnOnce(&[T]) -> R) -> Result<R> {
        self.with_mut(|elements| f(elements))
    }

    /// Calls `f` with all elements to be written, in this process.
    ///
    /// # Errors
    /// `is_usage()`: a part is lent.
    pub fn with_mut<R>(&self, f: impl FnOnce(&mut [T]) -> R) -> Result<R> {
        Ok(f(&mut self.part_mut(0..self.len())?.open()?))
    }

    /// Turns the array into an ordinary object that never changes, without a copy (up to 4 KiB are
    /// copied). The result is pending until no process can write there any more; that is some
    /// microseconds. It fails if parts are lent, or if there are other handles of the array:
    /// clones, in values, or as arguments of calls that have not ended. A handle that the driver's
    /// program gives to a call does not count from then on; one that a task gives to a call of its
    /// own may count for some microseconds more.
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

    /// As [`seal`](Self::seal), with the array's shape. `D` is `Ix2`, `IxDyn` or the like, of the
    /// `ndarray` whose array the ref is to be of.
    ///
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
    /// As for `seal`, and `is_usage()` for an array of another number of dimensions.
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

    /// Makes an array in shared memory that `fill` fills; it begins as zeros.
    ///
    /// # Errors
    /// As for [`shared_array`](Self::shared_array).
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
    /// # Errors
    /// As for [`view`](ObjectRef::view), and `is_store_full()`.
    pub fn to_shared(&self) -> Result<SharedArray<T>> {
        to_shared(self.entry(), &self.view()?)
    }
}

impl<T: SharedElement> ObjectRef<Array<T>> {
    /// Blocks until the elements are there, and copies them, once, into a new array that can be
    /// written.
    ///
    /// # Errors
    /// As for [`view`](ObjectRef::view), and `is_store_full()`.
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
