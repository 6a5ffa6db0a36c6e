//! Shared arrays, which processes write in parts.

mod creating;
mod lending;
mod sealing;

use std::{
    any::type_name,
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
    sync::Arc,
};

use mobula_protocol::{Engine, Error, Result, SharedKind};
use mobula_store::{Building, codec::type_tag};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{SharedElement, element::size_of_shape, handle::SharedHandle};

pub(super) use sealing::seal;

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
/// let incomplete = array.settle()?;              // waits until all parts are back
/// assert!(incomplete.is_empty());
/// assert_eq!(array.with(|all| all[999_999])?, 3.0);
/// let object = array.seal()?;              // from here on an ordinary object, without a copy
/// assert_eq!(object.view()?[250_000], 1.0);
/// # Ok(())
/// # }
/// ```
pub struct SharedArray<T> {
    /// The handle. `None` after [`free`](SharedArray::free).
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
}

fn freed() -> Error {
    Error::usage("this handle of a shared array was freed, and cannot be used any more")
}

fn kind<T: 'static>() -> (SharedKind, u64) {
    (SharedKind::Array, type_tag::<T>())
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
    /// Returns whether both handles are of the same memory.
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
