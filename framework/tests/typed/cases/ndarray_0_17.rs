//! The cases of `ndarrays.rs` with `ndarray` 0.17.

use ndarray17 as nd;

use super::Rt;

#[allow(
    clippy::duplicate_mod,
    reason = "one text, compiled for each version of `ndarray`"
)]
#[path = "ndarrays.rs"]
mod cases;

pub(crate) fn all(rt: &Rt) {
    cases::all(rt);
}
