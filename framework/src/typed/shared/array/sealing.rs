//! Turns a shared array into an ordinary object.

use std::sync::Arc;

use mobula_protocol::{Error, Format, Result};
use mobula_store::is_cell;

use super::{SharedArray, freed};
#[cfg(any(feature = "ndarray-0_16", feature = "ndarray-0_17"))]
use crate::typed::{bytes::flat as copied, nd::NdDim, place::Place};
use crate::{
    Array, ObjectRef,
    typed::{
        runtime_api,
        shared::{SharedElement, element::flat, handle::SharedHandle},
    },
};

impl<T: SharedElement> SharedArray<T> {
    /// Turns the array into an ordinary object that never changes, without a copy. Up to 4 KiB are
    /// copied.
    ///
    /// The result is pending for some microseconds, until no process can write there any more. It
    /// fails if parts are lent or there are other handles of the array. Clones, handles in values,
    /// and arguments of calls that have not ended are such handles. A handle that the driver's
    /// program gives to a call does not count from then on. A handle that a task gives to a call of
    /// its own may count for some microseconds more. The thread of a task seals what the task was
    /// given. Another thread may be refused while other tasks of the worker end.
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

/// Turns shared memory into an ordinary object.
pub(in crate::typed::shared) fn seal<T>(
    handle: SharedHandle,
    format: Format,
) -> Result<ObjectRef<Array<T>>> {
    let engine = handle.engine()?;
    // This handle goes before the engine has the memory closed, in this process too.
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
