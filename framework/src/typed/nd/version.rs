//! The traits for the types of one version of `ndarray`, for each version whose feature is on.

use std::marker::PhantomData;

use mobula_protocol::{Error, Payload, Result};
use mobula_store::{Array, Plain};

use super::{FlatNd, NdArray, NdDim, array::accepted, dim::Sealed, learn, payload};
use crate::typed::{
    IntoArg, ObjectRef, Put,
    arg::{Source, refs},
    flat::Types,
    how,
    place::Place,
    private::ViewParam,
    probe::{Level6, Probe},
};

/// Implements the passing of arrays and views for parameters that are owned arrays or views.
macro_rules! arguments {
    ($($have:ty),*) => { $(
        #[diagnostic::do_not_recommend]
        impl<E: Plain, D: Dimension> IntoArg<Owned<E, D>> for $have {
            fn with_source<R>(self, f: impl FnOnce(Source<'_, Owned<E, D>>) -> R) -> R {
                f(Source::Encoded(stored(&self.view(), Place::Current)))
            }
        }
    )* };
}

/// Makes a module for the version of `ndarray` that the crate has under this name.
macro_rules! version {
    ($module:ident, $ndarray:ident) => {
        mod $module {
            use $ndarray::{
                ArcArray, Array as Owned, Array1, ArrayBase, ArrayView, ArrayViewMut, CowArray,
                Dim, Dimension, Ix1, Ix2, Ix3, Ix4, IxDyn, OwnedRepr,
            };

            use super::*;

            /// Returns an array in its stored form. Brings the elements into row-major order.
            fn stored<E: Plain, D: Dimension>(
                array: &ArrayView<'_, E, D>,
                place: Place<'_>,
            ) -> Result<Payload> {
                payload(array.as_slice(), array.iter(), array.shape(), place)
            }

            /// Returns row-major elements as a view with their shape.
            fn shaped<'a, E, D: Dimension>(
                elements: &'a [E],
                shape: &[usize],
            ) -> Result<ArrayView<'a, E, D>> {
                let mut dim = D::zeros(shape.len());
                dim.slice_mut().copy_from_slice(shape);
                ArrayView::from_shape(dim, elements).map_err(|error| {
                    Error::codec(format!(
                        "a stored array has an impossible shape {shape:?}: {error}"
                    ))
                })
            }

            impl<I> Sealed for Dim<I> {}

            impl<I: 'static> NdDim for Dim<I>
            where
                Dim<I>: Dimension,
            {
                type View<'a, E: 'a> = ArrayView<'a, E, Dim<I>>;
                type Owned<E: 'static> = Owned<E, Dim<I>>;

                const NUMBER: Option<usize> = <Dim<I> as Dimension>::NDIM;

                fn view<'a, E>(
                    elements: &'a [E],
                    shape: &[usize],
                ) -> Result<ArrayView<'a, E, Dim<I>>> {
                    shaped(elements, shape)
                }

                fn copy<E: Plain>(view: &ArrayView<'_, E, Dim<I>>) -> Owned<E, Dim<I>> {
                    view.to_owned()
                }

                fn payload<E: Plain>(
                    array: &Owned<E, Dim<I>>,
                    place: Place<'_>,
                ) -> Result<Payload> {
                    stored(&array.view(), place)
                }
            }

            impl<'a, E: Plain, D: Dimension> From<&'a NdArray<E, D>> for ArrayView<'a, E, D> {
                /// Returns a view of the elements with their shape.
                fn from(stored: &'a NdArray<E, D>) -> ArrayView<'a, E, D> {
                    accepted(shaped(stored.as_array(), stored.shape()))
                }
            }

            /// Arrays of `ndarray` are stored with their shape, as plain elements.
            impl<E: Plain, D: Dimension> ObjectRef<Owned<E, D>> {
                /// Blocks until the array is there, and returns it in place, without a copy.
                ///
                /// The array keeps the object in the store for as long as it lives.
                ///
                /// # Examples
                /// ```
                /// # use mobula::prelude::*;
                /// # #[cfg(not(feature = "ndarray-0_16"))]
                /// # use ndarray17 as ndarray;
                /// # fn main() -> mobula::Result<()> {
                /// # mobula::init();
                /// # let rt = Runtime::builder().workers(1).start()?;
                /// let object = rt.put(&ndarray::array![[1.0, 2.0], [3.0, 4.0]])?;
                /// assert_eq!(object.view()?.view().column(1).sum(), 6.0);
                /// # Ok(())
                /// # }
                /// ```
                ///
                /// # Errors
                /// * The errors of [`get`](Self::get).
                /// * A type mismatch, if the array was not stored as plain elements. This happens
                ///   where an owned array of unusual rank or element type was put and no remote
                ///   function has that type in its signature. Put `array.view()` then.
                pub fn view(&self) -> Result<NdArray<E, D>> {
                    NdArray::read::<Owned<E, D>>(self.payload()?, D::NDIM, |elements, shape| {
                        shaped::<E, D>(elements, shape).map(drop)
                    })
                }
            }

            #[diagnostic::do_not_recommend]
            impl<E: Plain, D: Dimension> Put<how::View> for ArrayView<'_, E, D> {
                type Object = Owned<E, D>;

                fn payload(&self, place: Place<'_>) -> Result<Payload> {
                    stored(self, place)
                }
            }

            #[diagnostic::do_not_recommend]
            impl<E: Plain, D: Dimension> Put<how::View> for ArrayViewMut<'_, E, D> {
                type Object = Owned<E, D>;

                fn payload(&self, place: Place<'_>) -> Result<Payload> {
                    stored(&self.view(), place)
                }
            }

            arguments!(
                ArrayView<'_, E, D>,
                &ArrayView<'_, E, D>,
                &ArrayViewMut<'_, E, D>,
                CowArray<'_, E, D>,
                &CowArray<'_, E, D>,
                ArcArray<E, D>,
                &ArcArray<E, D>
            );

            // With one dimension, all flat values have the same stored form.
            refs! {
                [E] Vec<E> => Array1<E>;
                [E] Array<E> => Array1<E>;
                [E] Array1<E> => [E];
                [E] Array1<E> => Vec<E>;
                [E] Array1<E> => Array<E>;
            }

            #[diagnostic::do_not_recommend]
            impl<E, D> ViewParam for ArrayView<'_, E, D> {
                type Key = Owned<E, D>;
            }

            impl<E: Plain, D: Dimension + 'static> Level6
                for &&&&&Probe<ArrayBase<OwnedRepr<E>, D>>
            {
                type Codec = FlatNd<E, D>;

                fn codec(&self) -> FlatNd<E, D> {
                    FlatNd(PhantomData)
                }
            }

            /// Adds the usual ranks.
            pub(super) fn learn_all<E: Plain>(types: &mut Types) {
                learn::<E, Ix1>(types);
                learn::<E, Ix2>(types);
                learn::<E, Ix3>(types);
                learn::<E, Ix4>(types);
                learn::<E, IxDyn>(types);
            }
        }
    };
}

#[cfg(feature = "ndarray-0_16")]
version!(v0_16, ndarray);
#[cfg(feature = "ndarray-0_17")]
version!(v0_17, ndarray17);

/// Adds the usual ranks, of each version.
pub(crate) fn learn_all<E: Plain>(types: &mut Types) {
    #[cfg(feature = "ndarray-0_16")]
    v0_16::learn_all::<E>(types);
    #[cfg(feature = "ndarray-0_17")]
    v0_17::learn_all::<E>(types);
}
