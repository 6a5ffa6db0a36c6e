//! Arrays with a shape, seen in place.

use std::{fmt, marker::PhantomData};

use mobula_protocol::{Error, Payload, Result};
use mobula_store::{Array, Plain};
use smallvec::SmallVec;

use super::NdDim;
use crate::typed::bytes::read_flat;

/// A shared, immutable array with a shape: cheap to clone, and read in place wherever it lies.
///
/// `ObjectRef::view` returns it for refs of `ndarray` arrays. `D` is of the version of `ndarray`
/// that the ref's array has, and so are the views. Code that is generic over `ndarray::Dimension`
/// takes a view by `ArrayView::from(&stored)`.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// # #[cfg(not(feature = "ndarray-0_16"))]
/// # use ndarray17 as ndarray;
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// let rt = Runtime::start()?;
/// let grid = rt.put(&ndarray::array![[1.0, 2.0], [3.0, 4.0]])?;
/// let stored = grid.view()?;              // no copy of the elements
/// assert_eq!(stored.view().row(1).sum(), 7.0);
/// # Ok(())
/// # }
/// ```
pub struct NdArray<E, D> {
    /// The elements in row-major order.
    elements: Array<E>,
    /// The shape. It was checked against the number of elements.
    shape: SmallVec<[usize; 4]>,
    dim: PhantomData<fn() -> D>,
}

impl<E: Plain, D> NdArray<E, D> {
    /// Reads the array in `payload`, which messages call a `T` of `number` dimensions. `check`
    /// refuses shapes that the elements cannot have.
    pub(super) fn read<T>(
        payload: Payload,
        number: Option<usize>,
        check: impl FnOnce(&[E], &[usize]) -> Result<()>,
    ) -> Result<NdArray<E, D>> {
        let (elements, found) = read_flat::<T, E>(payload)?;
        let wrong = |wanted: &dyn fmt::Display| {
            Error::type_mismatch(format!(
                "expected an array with {wanted} dimensions, found one of shape {found:?}"
            ))
        };
        if let Some(wanted) = number.filter(|wanted| *wanted != found.len()) {
            return Err(wrong(&wanted));
        }
        let shape = found.iter().map(|len| usize::try_from(*len));
        let shape = shape
            .collect::<std::result::Result<SmallVec<_>, _>>()
            .map_err(|_| wrong(&"representable"))?;
        check(&elements, &shape)?;
        Ok(NdArray {
            elements,
            shape,
            dim: PhantomData,
        })
    }
}

impl<E: Plain, D: NdDim> NdArray<E, D> {
    pub(super) fn stored(payload: Payload) -> Result<NdArray<E, D>> {
        let check = |elements: &[E], shape: &[usize]| D::view(elements, shape).map(drop);
        NdArray::read::<D::Owned<E>>(payload, D::NUMBER, check)
    }

    pub(super) fn to_owned(&self) -> D::Owned<E> {
        D::copy(&self.view())
    }

    /// Returns the elements in their shape, as an `ndarray::ArrayView<'_, E, D>`.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # #[cfg(not(feature = "ndarray-0_16"))]
    /// # use ndarray17 as ndarray;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let stored = rt.put(&ndarray::Array2::<f64>::eye(3))?.view()?;
    /// assert_eq!(stored.view().diag().sum(), 3.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn view(&self) -> D::View<'_, E> {
        accepted(D::view(&self.elements, &self.shape))
    }
}

/// Returns the view of an array whose shape was checked when it was read.
pub(super) fn accepted<V>(view: Result<V>) -> V {
    match view {
        Ok(view) => view,
        Err(error) => unreachable!("this shape was accepted before: {error}"),
    }
}

impl<E, D> NdArray<E, D> {
    /// Returns the number of elements along each dimension.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # #[cfg(not(feature = "ndarray-0_16"))]
    /// # use ndarray17 as ndarray;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let stored = rt.put(&ndarray::Array2::<f64>::zeros((2, 3)))?.view()?;
    /// assert_eq!(stored.shape(), [2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Returns the elements in row-major order, without a copy.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # #[cfg(not(feature = "ndarray-0_16"))]
    /// # use ndarray17 as ndarray;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let stored = rt.put(&ndarray::array![[1, 2], [3, 4]])?.view()?;
    /// assert_eq!(stored.as_array()[..], [1, 2, 3, 4]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn as_array(&self) -> &Array<E> {
        &self.elements
    }
}

impl<E, D> Clone for NdArray<E, D> {
    /// Returns a further owner of the same memory.
    fn clone(&self) -> NdArray<E, D> {
        NdArray {
            elements: self.elements.clone(),
            shape: self.shape.clone(),
            dim: PhantomData,
        }
    }
}

impl<E: Plain, D: NdDim> fmt::Debug for NdArray<E, D>
where
    for<'a> D::View<'a, E>: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}
