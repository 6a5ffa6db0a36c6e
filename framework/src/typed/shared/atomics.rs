//! Arrays of atomics.

use std::{any::type_name, fmt, ops::Deref, sync::Arc, sync::atomic::Ordering};

use mobula_protocol::{Engine, Error, Result, SharedKind};
use mobula_store::{AtomicSlice, SharedAtomic, codec::type_tag};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    element::{Shape, flat, size_of_shape},
    handle::SharedHandle,
};
use crate::{Array, ObjectRef, Runtime, promise::ENGINE, typed::runtime_api};

/// An array of atomics that any number of tasks read and change at the same time, without locks and
/// in place. It dereferences to `[A]`.
///
/// A clone is the same array, and so is the handle that arrives in a task or comes out of a value.
/// The memory is freed with the last handle.
///
/// # Examples
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
/// use mobula::{AtomicArray, prelude::*};
///
/// #[remote]
/// fn count(values: &[u8], counts: &AtomicArray<AtomicU64>) {
///     for value in values {
///         counts[usize::from(*value)].fetch_add(1, Relaxed);
///     }
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// let rt = Runtime::start()?;
/// let counts = rt.atomic_array::<AtomicU64>(256)?;
/// let text = rt.put(&b"to be or not to be"[..])?;
/// let calls = (0..4).map(|_| count::remote(&text, &counts));
/// rt.get(rt.spawn_all(calls))?;
/// assert_eq!(counts[usize::from(b'o')].load(Relaxed), 4 * 4);
/// # Ok(())
/// # }
/// ```
pub struct AtomicArray<A> {
    handle: SharedHandle,
    atomics: AtomicSlice<A>,
}

impl<A: SharedAtomic> AtomicArray<A> {
    fn new(engine: &Arc<dyn Engine>, shape: Vec<usize>, values: &[A::Value]) -> Result<Self> {
        let (len, bytes) = size_of_shape::<A::Value>(&shape)?;
        let fill = |building: &mut mobula_store::Building| {
            if !values.is_empty() {
                building
                    .bytes_mut()
                    .copy_from_slice(bytemuck::cast_slice(values));
            }
            Ok(())
        };
        let handle = SharedHandle::create(engine, kind::<A>(), &shape, bytes, fill)?;
        AtomicArray::of(handle, len)
    }

    fn of(handle: SharedHandle, len: usize) -> Result<Self> {
        let atomics = AtomicSlice::new(handle.region(), 0, len, ENGINE)
            .ok_or_else(|| Error::internal("an array of atomics of another length"))?;
        Ok(AtomicArray { handle, atomics })
    }

    /// Returns the values. Each is read on its own: while others write, they are not all of one
    /// moment.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let array = rt.atomic_array::<AtomicU32>(3)?;
    /// array[1].store(7, Relaxed);
    /// assert_eq!(array.to_vec(), [0, 7, 0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_vec(&self) -> Vec<A::Value> {
        self.iter()
            .map(|atomic| atomic.load(Ordering::Relaxed))
            .collect()
    }

    /// Turns the array into an ordinary object that never changes, without a copy. Up to 4 KiB are
    /// copied.
    ///
    /// The result is pending until no process can write there any more. It fails if there are other
    /// handles of the array: clones, in values, or as arguments of calls that have not ended. A
    /// handle that the driver's program gives to a call does not count from then on. A handle that
    /// a task gives to a call of its own may count for some microseconds more.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::sync::atomic::AtomicU32;
    ///
    /// #[remote]
    /// fn sum(numbers: &[u32]) -> u32 {
    ///     numbers.iter().sum()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let array = rt.atomic_array_from::<AtomicU32>(&[1, 2, 3])?;
    /// let object = array.seal()?;
    /// assert_eq!(rt.spawn(sum::remote(&object)).get()?, 6);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// There are clones of this handle, or the runtime is gone.
    pub fn seal(self) -> Result<ObjectRef<Array<A::Value>>> {
        let engine = self.handle.engine()?;
        let len = self.len();
        if mobula_store::is_cell(self.handle.region().loc()) {
            return runtime_api::put_with(&engine, len, |out: &mut [A::Value]| {
                out.copy_from_slice(&self.to_vec());
            });
        }
        // `atomics` keeps the memory open.
        drop(self.atomics);
        super::array::seal(self.handle, flat::<A::Value>(len))
    }
}

fn kind<A: 'static>() -> (SharedKind, u64) {
    (SharedKind::Atomics, type_tag::<A>())
}

impl Runtime {
    /// Makes an array of atomics, all zero, in shared memory. `shape` is a length, `(rows,
    /// columns)`, or an array of dimensions.
    ///
    /// # Examples
    /// ```
    /// use mobula::{AtomicF64, prelude::*};
    /// use std::sync::atomic::Ordering::Relaxed;
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let sums = rt.atomic_array::<AtomicF64>(10)?;
    /// sums[3].fetch_add(0.5, Relaxed);
    /// assert_eq!(sums.to_vec()[3], 0.5);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`is_store_full`](Error::is_store_full) when there is no room, `is_shutdown` after the
    /// runtime's end.
    pub fn atomic_array<A: SharedAtomic>(&self, shape: impl Shape) -> Result<AtomicArray<A>> {
        AtomicArray::new(self.engine(), shape.dimensions(), &[])
    }

    /// Makes an array of atomics that begin with these values.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::sync::atomic::AtomicU32;
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let array = rt.atomic_array_from::<AtomicU32>(&[1, 2, 3])?;
    /// assert_eq!(array.to_vec(), [1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`atomic_array`](Self::atomic_array).
    pub fn atomic_array_from<A: SharedAtomic>(
        &self,
        values: &[A::Value],
    ) -> Result<AtomicArray<A>> {
        AtomicArray::new(self.engine(), vec![values.len()], values)
    }
}

impl<A: SharedAtomic> Deref for AtomicArray<A> {
    type Target = [A];

    #[inline]
    fn deref(&self) -> &[A] {
        &self.atomics
    }
}

impl<A> Clone for AtomicArray<A> {
    fn clone(&self) -> AtomicArray<A> {
        AtomicArray {
            handle: self.handle.clone(),
            atomics: self.atomics.clone(),
        }
    }
}

impl<A> PartialEq for AtomicArray<A> {
    /// Returns whether both handles are of the same memory.
    fn eq(&self, other: &AtomicArray<A>) -> bool {
        self.handle.is_same(&other.handle)
    }
}

impl<A> Eq for AtomicArray<A> {}

impl<A> fmt::Debug for AtomicArray<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "AtomicArray<{}>({} atomics)",
            type_name::<A>(),
            self.atomics.len()
        )
    }
}

impl<A: SharedAtomic> Serialize for AtomicArray<A> {
    /// Works for values that go through Mobula only; elsewhere it is an error.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.handle.serialize::<AtomicArray<A>, S>(serializer)
    }
}

impl<'de, A: SharedAtomic> Deserialize<'de> for AtomicArray<A> {
    /// Works for values that go through Mobula only; elsewhere it is an error.
    fn deserialize<D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<AtomicArray<A>, D::Error> {
        let (handle, shape) =
            SharedHandle::deserialize::<AtomicArray<A>, D>(deserializer, kind::<A>())?;
        let (len, _) = size_of_shape::<A::Value>(&shape).map_err(serde::de::Error::custom)?;
        AtomicArray::of(handle, len).map_err(serde::de::Error::custom)
    }
}
