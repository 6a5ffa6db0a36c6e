//! The promises of the surface, each as a function of a runtime. `Rt` is the runtime of the parent
//! module.

// Arguments are passed in all forms that there are, also where another would do.
#![allow(clippy::needless_borrows_for_generic_args, clippy::ptr_arg)]

pub(super) mod actors;
pub(super) mod arguments;
pub(super) mod borrowing;
pub(super) mod calls;
pub(super) mod collecting;
pub(super) mod contexts;
pub(super) mod errors;
mod functions;
pub(super) mod futures;
pub(super) mod locals;
#[cfg(feature = "ndarray-0_16")]
pub(super) mod ndarray_0_16;
#[cfg(feature = "ndarray-0_17")]
pub(super) mod ndarray_0_17;
#[cfg(all(feature = "ndarray-0_16", feature = "ndarray-0_17"))]
pub(super) mod ndarray_versions;
pub(super) mod objects;
pub(super) mod pools;
pub(super) mod queues;
pub(super) mod reducing;
pub(super) mod resources;
pub(super) mod results;
pub(super) mod shapes;
pub(super) mod slices;
pub(super) mod splitting;
pub(super) mod streams;

use super::Rt;
