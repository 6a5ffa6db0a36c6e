//! Arrays with a shape, seen in place.

use std::fmt;

use mobula_store::{Array, Plain};
use mobula_worker::{Error, Payload, Result};
use ndarray::{ArrayView, Dimension};

use super::Owned;
use crate::typed::{ObjectRef, bytes::read_flat};

/// A shared, immutable array with a shape: cheap to clone, and read in place wherever it lies.
///
/// [`ObjectRef::view`] gives it for refs of `ndarray` arrays.
///
/// ```
/// # use mobula::prelude::*;
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
    /// Row-major.
    elements: Array<E>,
    /// `ArrayView::from_shape` has accepted it for these elements.
    dim: D,
}

impl<E: Plain, D: Dimension> NdArray<E, D> {
    fn new(elements: Array<E>, shape: &[u64]) -> Result<NdArray<E, D>> {
        let wrong = |wanted: &dyn fmt::Display| {
            Error::type_mismatch(format!(
                "expected an array with {wanted} dimensions, found one of shape {shape:?}"
            ))
        };
        if let Some(wanted) = D::NDIM.filter(|wanted| *wanted != shape.len()) {
            return Err(wrong(&wanted));
        }
        let mut dim = D::zeros(shape.len());
        for (to, from) in dim.slice_mut().iter_mut().zip(shape) {
            *to = usize::try_from(*from).map_err(|_| wrong(&"representable"))?;
        }
        match ArrayView::from_shape(dim.clone(), &elements) {
            Ok(_) => Ok(NdArray { elements, dim }),
            Err(error) => Err(Error::codec(format!(
                "a stored array has an impossible shape {shape:?}: {error}"
            ))),
        }
    }

    pub(super) fn read(payload: Payload) -> Result<NdArray<E, D>> {
        let (elements, shape) = read_flat::<Owned<E, D>, E>(payload)?;
        NdArray::new(elements, &shape)
    }

    /// The elements in their shape.
    pub fn view(&self) -> ArrayView<'_, E, D> {
        match ArrayView::from_shape(self.dim.clone(), &self.elements) {
            Ok(view) => view,
            Err(error) => unreachable!("this shape was accepted before: {error}"),
        }
    }

    /// How many elements there are along each dimension.
    pub fn shape(&self) -> &[usize] {
        self.dim.slice()
    }

    /// The elements in row-major order, without a copy.
    pub fn as_array(&self) -> &Array<E> {
        &self.elements
    }
}

impl<E, D: Clone> Clone for NdArray<E, D> {
    /// One more owner of the same memory.
    fn clone(&self) -> NdArray<E, D> {
        NdArray {
            elements: self.elements.clone(),
            dim: self.dim.clone(),
        }
    }
}

impl<E: Plain + fmt::Debug, D: Dimension> fmt::Debug for NdArray<E, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

/// Arrays of `ndarray` are stored with their shape, as plain elements.
impl<E: Plain, D: Dimension> ObjectRef<Owned<E, D>> {
    /// Blocks until the array is there, and gives it in place, without a copy.
    ///
    /// The array keeps the object in the store for as long as it lives.
    ///
    /// # Errors
    /// As for [`get`](Self::get); a type mismatch if the array was not stored as plain elements.
    /// That is so where an owned array of unusual rank or element type was put and no remote
    /// function has that type in its signature: put `array.view()` then.
    pub fn view(&self) -> Result<NdArray<E, D>> {
        NdArray::read(self.payload()?)
    }
}
