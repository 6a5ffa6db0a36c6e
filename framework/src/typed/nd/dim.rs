//! The number of dimensions, which tells the versions of `ndarray` apart.

use mobula_protocol::{Payload, Result};
use mobula_store::Plain;

use crate::typed::place::Place;

/// A number of dimensions of `ndarray`'s arrays: `Ix1`, `Ix2` and so on, and `IxDyn`, of each
/// version of `ndarray` whose feature is on.
///
/// Each version has types of its own. So they say of which version the views of an
/// [`NdArray`](crate::NdArray) are, and the result of
/// [`SharedArray::seal_nd`](crate::SharedArray::seal_nd).
///
/// # Examples
/// ```
/// use mobula::{NdDim, SharedArray, prelude::*};
/// # #[cfg(not(feature = "ndarray-0_16"))]
/// # use ndarray17 as ndarray;
/// use ndarray::Ix2;
///
/// fn seal<D: NdDim>(array: SharedArray<f64>) -> mobula::Result<ObjectRef<D::Owned<f64>>> {
///     array.seal_nd::<D>()
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let object = seal::<Ix2>(rt.shared_array((2, 3), 1.0)?)?;
/// assert_eq!(object.get()?.sum(), 6.0);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a number of dimensions that Mobula knows",
    label = "not `Ix1`, `Ix2`, .. or `IxDyn` of a supported `ndarray`",
    note = "the known ones are those of `ndarray` 0.16, with the feature `ndarray-0_16` (or `ndarray`), and of `ndarray` 0.17, with the feature `ndarray-0_17`"
)]
pub trait NdDim: Sealed + Sized + 'static {
    /// An `ndarray::ArrayView` of this number of dimensions.
    type View<'a, E: 'a>;

    /// An `ndarray::Array` of this number of dimensions.
    type Owned<E: 'static>: 'static;

    /// The number, unless it is known at run time only. Not public API.
    #[doc(hidden)]
    const NUMBER: Option<usize>;

    /// Row-major elements in their shape, or what is wrong with it. Not public API.
    #[doc(hidden)]
    fn view<'a, E>(elements: &'a [E], shape: &[usize]) -> Result<Self::View<'a, E>>;

    /// A copy of the elements. Not public API.
    #[doc(hidden)]
    fn copy<E: Plain>(view: &Self::View<'_, E>) -> Self::Owned<E>;

    /// An array in its stored form. Not public API.
    #[doc(hidden)]
    fn payload<E: Plain>(array: &Self::Owned<E>, place: Place<'_>) -> Result<Payload>;
}

/// Keeps implementations of [`NdDim`] in this crate.
pub trait Sealed {}
