//! Values that travel.

use serde::{Serialize, de::DeserializeOwned};

/// Values that can travel between processes: every type that serde can write and read, and that
/// borrows nothing.
///
/// All of these types implement it. There is nothing to implement by hand.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Model {
///     weights: Vec<f64>,
/// }
///
/// fn fetch<T: mobula::Value>(model: &ObjectRef<T>) -> mobula::Result<T> {
///     model.get()
/// }
/// # mobula::init();
/// # let rt = Runtime::start()?;
/// # assert_eq!(fetch(&rt.put(&Model { weights: vec![1.0] })?)?.weights, [1.0]);
/// # Ok::<(), mobula::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel between processes",
    label = "not a type that serde can write and read",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]`; a type of another crate may have a `serde` feature"
)]
pub trait Value: Serialize + DeserializeOwned + 'static {}

impl<T: Serialize + DeserializeOwned + 'static> Value for T {}
