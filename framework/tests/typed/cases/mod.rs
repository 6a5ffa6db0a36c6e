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
#[cfg(feature = "ndarray")]
mod ndarrays;
mod objects;
mod results;
mod shapes;

use super::Rt;

pub(super) fn all(rt: &Rt) {
    arguments::all(rt);
    borrowing::all(rt);
    calls::all(rt);
    errors::all(rt);
    #[cfg(feature = "ndarray")]
    ndarrays::all(rt);
    objects::all(rt);
    results::all(rt);
    shapes::all(rt);
}

pub(super) async fn all_async(rt: &Rt) -> mobula::Result<()> {
    futures::all(rt).await
}
