//! The tests of `tiles.rs` with `ndarray` 0.17.

use ndarray17 as nd;

#[allow(
    clippy::duplicate_mod,
    reason = "one text, compiled for each version of `ndarray`"
)]
#[path = "tiles.rs"]
mod cases;
