//! `ndarray`: arrays and views, stored with their shape and seen in place.
//!
//! Elements are stored in row-major order, whatever the array's own layout is.

use std::{any::Any, cell::OnceCell, fmt, marker::PhantomData};

use mobula_store::{Array, Plain};
use mobula_worker::{Error, INLINE_LIMIT, Input, Payload, Result};
use ndarray::{
    ArcArray, Array1, ArrayBase, ArrayView, ArrayViewMut, CowArray, Dimension, Ix1, Ix2, Ix3, Ix4,
    IxDyn, OwnedRepr,
};

use super::{
    IntoArg, ObjectRef, Put,
    arg::{Source, refs},
    bytes::{flat, flat_block, has_size, read_flat},
    codecs::{Codec, Own, single},
    flat::{Types, same},
    how,
    place::Place,
    probe::{Level4, Probe},
};

type Owned<E, D> = ndarray::Array<E, D>;

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

    fn read(payload: Payload) -> Result<NdArray<E, D>> {
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

/// An array in its stored form. One that is not in row-major order is brought into it.
///
/// # Errors
/// The store is full.
fn payload<E: Plain, D: Dimension>(
    array: ArrayView<'_, E, D>,
    place: Place<'_>,
) -> Result<Payload> {
    const {
        assert!(
            has_size::<E>(),
            "elements of size zero cannot be stored as an array"
        )
    };
    if let Some(elements) = array.as_slice() {
        return flat(elements, array.shape(), place);
    }
    let bytes = array.len() * size_of::<E>();
    let heap = match bytes {
        0..=INLINE_LIMIT => None,
        _ => place.with_heap(|heap| heap.cloned()),
    };
    let Some(heap) = heap else {
        let elements: Vec<E> = array.iter().copied().collect();
        return flat(&elements, array.shape(), place);
    };
    let mut building = heap.reserve(bytes, align_of::<E>().max(64))?;
    for (to, from) in building
        .bytes_mut()
        .chunks_exact_mut(size_of::<E>())
        .zip(&array)
    {
        to.copy_from_slice(bytemuck::bytes_of(from));
    }
    Ok(flat_block::<E>(building.seal().block(), array.shape()))
}

/// A parameter that borrows, and says so with a lifetime. Not public API.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a borrow that Mobula can resolve from shared memory",
    label = "borrows something else",
    note = "the known ones are `&T`, `&[T]`, `&str` and `ndarray::ArrayView<'_, T, D>`; otherwise take `Array<T>` or an owned value"
)]
pub trait ViewParam {
    /// The owned type.
    type Key;
}

impl<E, D> ViewParam for ArrayView<'_, E, D> {
    type Key = Owned<E, D>;
}

/// Arrays of plain elements, and views of them.
#[derive(Debug)]
pub struct FlatNd<E, D>(PhantomData<(E, D)>);

/// An argument that is seen in place, and copied only where a function borrows an owned array.
#[derive(Debug)]
pub struct Resolved<E: Plain, D: Dimension> {
    stored: NdArray<E, D>,
    owned: OnceCell<Owned<E, D>>,
}

impl<E: Plain, D: Dimension> Resolved<E, D> {
    /// The argument of a function that takes a view.
    pub fn view(&self) -> ArrayView<'_, E, D> {
        self.stored.view()
    }
}

impl<E: Plain, D: Dimension + 'static> Codec<Owned<E, D>> for FlatNd<E, D> {
    type Guard = Resolved<E, D>;

    fn encode(&self, value: &Owned<E, D>, place: Place<'_>) -> Result<Payload> {
        payload(value.view(), place)
    }

    fn lend(&self, input: Input) -> Result<Resolved<E, D>> {
        let stored = NdArray::read(single::<Owned<E, D>>(input)?.0)?;
        Ok(Resolved {
            stored,
            owned: OnceCell::new(),
        })
    }

    fn borrow<'g>(&self, guard: &'g Resolved<E, D>) -> Result<&'g Owned<E, D>> {
        Ok(guard.owned.get_or_init(|| guard.view().to_owned()))
    }

    fn learn(&self, types: &mut Types) {
        types.vec::<E>();
        learn::<E, D>(types);
    }
}

impl<E: Plain, D: Dimension + 'static> Own<Owned<E, D>> for FlatNd<E, D> {
    fn own(&self, input: Input) -> Result<Owned<E, D>> {
        Ok(self.lend(input)?.view().to_owned())
    }
}

impl<E: Plain, D: Dimension + 'static> Level4 for &&&Probe<ArrayBase<OwnedRepr<E>, D>> {
    type Codec = FlatNd<E, D>;

    fn codec(&self) -> FlatNd<E, D> {
        FlatNd(PhantomData)
    }
}

fn learn<E: Plain, D: Dimension + 'static>(types: &mut Types) {
    types.insert::<Owned<E, D>>(
        |value, place| payload(same::<Owned<E, D>>(value).view(), place),
        |payload| Ok(Box::new(NdArray::<E, D>::read(payload)?.view().to_owned()) as Box<dyn Any>),
    );
}

/// Adds the usual ranks.
pub(crate) fn learn_all<E: Plain>(types: &mut Types) {
    learn::<E, Ix1>(types);
    learn::<E, Ix2>(types);
    learn::<E, Ix3>(types);
    learn::<E, Ix4>(types);
    learn::<E, IxDyn>(types);
}

#[diagnostic::do_not_recommend]
impl<E: Plain, D: Dimension> Put<how::View> for ArrayView<'_, E, D> {
    type Object = Owned<E, D>;

    fn payload(&self, place: Place<'_>) -> Result<Payload> {
        payload(self.view(), place)
    }
}

#[diagnostic::do_not_recommend]
impl<E: Plain, D: Dimension> Put<how::View> for ArrayViewMut<'_, E, D> {
    type Object = Owned<E, D>;

    fn payload(&self, place: Place<'_>) -> Result<Payload> {
        payload(self.view(), place)
    }
}

macro_rules! locals {
    ($($have:ty),*) => { $(
        #[diagnostic::do_not_recommend]
        impl<'a, E: Plain, D: Dimension> IntoArg<Owned<E, D>> for $have {
            fn with_source<R>(self, f: impl FnOnce(Source<'_, Owned<E, D>>) -> R) -> R {
                f(Source::Encoded(payload(self.view(), Place::Current)))
            }
        }
    )* };
}

locals!(
    ArrayView<'a, E, D>,
    &ArrayView<'a, E, D>,
    &ArrayViewMut<'a, E, D>,
    CowArray<'a, E, D>,
    &CowArray<'a, E, D>
);

macro_rules! shared {
    ($($have:ty),*) => { $(
        #[diagnostic::do_not_recommend]
        impl<E: Plain, D: Dimension> IntoArg<Owned<E, D>> for $have {
            fn with_source<R>(self, f: impl FnOnce(Source<'_, Owned<E, D>>) -> R) -> R {
                f(Source::Encoded(payload(self.view(), Place::Current)))
            }
        }
    )* };
}

shared!(ArcArray<E, D>, &ArcArray<E, D>);

// With one dimension, all that is stored flat is the same.
refs! {
    [E] Vec<E> => Array1<E>;
    [E] Array<E> => Array1<E>;
    [E] Array1<E> => [E];
    [E] Array1<E> => Vec<E>;
    [E] Array1<E> => Array<E>;
}
