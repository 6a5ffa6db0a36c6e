//! Progress bars on standard error, with the feature `progress`. Without it, all of this is
//! nothing.

#[cfg_attr(feature = "progress", path = "shown.rs")]
#[cfg_attr(not(feature = "progress"), path = "none.rs")]
mod bar;
#[cfg(feature = "progress")]
mod steps;

pub(crate) use bar::{Bar, above};
