//! What the surface promises, each promise as a function of a runtime. `Rt` is whatever runtime the
//! parent module has.

// Arguments are passed in all forms that there are, also where another would do.
#![allow(clippy::needless_borrows_for_generic_args, clippy::ptr_arg)]

mod arguments;
mod borrowing;
mod calls;
mod errors;
mod functions;
mod futures;
#[cfg(feature = "ndarray-0_16")]
mod ndarray_0_16;
#[cfg(feature = "ndarray-0_17")]
mod ndarray_0_17;
#[cfg(all(feature = "ndarray-0_16", feature = "ndarray-0_17"))]
mod ndarray_versions;
mod objects;
mod results;
mod shapes;

use super::Rt;

pub(super) fn all(rt: &Rt) {
    arguments::all(rt);
    borrowing::all(rt);
    calls::all(rt);
    errors::all(rt);
    #[cfg(feature = "ndarray-0_16")]
    ndarray_0_16::all(rt);
    #[cfg(feature = "ndarray-0_17")]
    ndarray_0_17::all(rt);
    #[cfg(all(feature = "ndarray-0_16", feature = "ndarray-0_17"))]
    ndarray_versions::all(rt);
    objects::all(rt);
    results::all(rt);
    shapes::all(rt);
}

pub(super) async fn all_async(rt: &Rt) -> mobula::Result<()> {
    futures::all(rt).await
}
