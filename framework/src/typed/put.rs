//! Values that can be put into the store.

use std::marker::PhantomData;

use mobula_protocol::{Payload, Result};
use mobula_store::Plain;

use super::{
    Value,
    bytes::text,
    codecs::{Codec, FlatSlice, encode_value},
    flat::remember,
    place::Place,
};

/// Values that [`Runtime::put`](crate::Runtime::put) takes, always by reference.
///
/// | The value | gives a ref of |
/// | --- | --- |
/// | `&T` of any serde type, vectors and [`Array`](crate::Array) included | `T` |
/// | `&[T]` of plain elements | `Vec<T>` |
/// | `&str` | `String` |
/// | `ndarray`'s arrays and views of plain elements | `ndarray::Array<T, D>` |
///
/// `How` tells these cases apart for the compiler, which finds it by itself. All fitting types
/// implement the trait. There is nothing to implement by hand.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// # use std::collections::BTreeMap;
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let from_slice: ObjectRef<Vec<u32>> = rt.put(&[1, 2, 3][..])?;
/// let from_str: ObjectRef<String> = rt.put("text")?;
/// let any: ObjectRef<BTreeMap<u32, char>> = rt.put(&BTreeMap::from([(1, 'a')]))?;
/// assert_eq!(any.get()?[&1], 'a');
/// # drop((from_slice, from_str));
/// # Ok(())
/// # }
/// ```
///
/// Code that is generic over the value passes `How` on:
///
/// ```
/// # use mobula::prelude::*;
/// use mobula::Put;
///
/// fn keep<How, T: ?Sized + Put<How>>(rt: &Runtime, value: &T) -> ObjectRef<T::Object> {
///     rt.put(value).expect("the store has room")
/// }
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// assert_eq!(keep(&rt, "text").get()?, "text");
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be put into the store",
    label = "not a value that can travel between processes",
    note = "the store takes every type with `#[derive(serde::Serialize, serde::Deserialize)]`, slices of numbers and of `bytemuck::Pod` structs, `str`, and arrays and views of `ndarray`, of version 0.16 with the feature `ndarray-0_16` (or `ndarray`), of 0.17 with the feature `ndarray-0_17`"
)]
pub trait Put<How> {
    /// The owned type that the ref is of.
    type Object;

    /// Returns the value in the form in which it is stored. Not public API.
    #[doc(hidden)]
    fn payload(&self, place: Place<'_>) -> Result<Payload>;
}

/// The cases of [`Put`], which the compiler finds by itself.
pub mod how {
    /// Any serde type.
    ///
    /// # Examples
    /// ```
    /// use mobula::{Put, how};
    ///
    /// fn takes<T: Put<how::Serde>>(_: &T) {}
    /// takes(&Some(1.5));
    /// ```
    #[derive(Debug)]
    pub struct Serde;
    /// A slice of plain elements.
    ///
    /// # Examples
    /// ```
    /// use mobula::{Put, how};
    ///
    /// fn takes<T: ?Sized + Put<how::Slice>>(_: &T) {}
    /// takes(&[1.5, 2.5][..]);
    /// ```
    #[derive(Debug)]
    pub struct Slice;
    /// Text.
    ///
    /// # Examples
    /// ```
    /// use mobula::{Put, how};
    ///
    /// fn takes<T: ?Sized + Put<how::Text>>(_: &T) {}
    /// takes("text");
    /// ```
    #[derive(Debug)]
    pub struct Text;
    /// An array or a view of `ndarray`.
    ///
    /// # Examples
    /// ```
    /// # #[cfg(feature = "ndarray-0_16")] {
    /// use mobula::{Put, how};
    /// # use ndarray::array;
    ///
    /// fn takes<T: Put<how::View>>(_: &T) {}
    /// takes(&array![[1.0, 2.0], [3.0, 4.0]].view());
    /// # }
    /// ```
    #[derive(Debug)]
    pub struct View;
}

#[diagnostic::do_not_recommend]
impl<T: Value> Put<how::Serde> for T {
    type Object = T;

    fn payload(&self, place: Place<'_>) -> Result<Payload> {
        encode_value(self, place)
    }
}

#[diagnostic::do_not_recommend]
impl<E: Plain> Put<how::Slice> for [E] {
    type Object = Vec<E>;

    fn payload(&self, place: Place<'_>) -> Result<Payload> {
        remember::<E>();
        FlatSlice(PhantomData).encode(self, place)
    }
}

#[diagnostic::do_not_recommend]
impl Put<how::Text> for str {
    type Object = String;

    fn payload(&self, place: Place<'_>) -> Result<Payload> {
        text(self, place)
    }
}
