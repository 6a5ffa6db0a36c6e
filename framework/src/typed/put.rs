//! What can be put into the store.

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

/// What [`Runtime::put`](crate::Runtime::put) takes, always by reference.
///
/// | What is put | the ref is of |
/// | --- | --- |
/// | `&T` of any serde type, vectors and [`Array`](crate::Array) included | `T` |
/// | `&[T]` of plain elements | `Vec<T>` |
/// | `&str` | `String` |
/// | `ndarray`'s arrays and views of plain elements | `ndarray::Array<T, D>` |
///
/// `How` tells these cases apart for the compiler, which finds it by itself. It is implemented for
/// all that fits; there is nothing to implement by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be put into the store",
    label = "not a value that can travel between processes",
    note = "the store takes every type with `#[derive(serde::Serialize, serde::Deserialize)]`, slices of numbers and of `bytemuck::Pod` structs, `str`, and arrays and views of `ndarray`, of version 0.16 with the feature `ndarray-0_16` (or `ndarray`), of 0.17 with the feature `ndarray-0_17`"
)]
pub trait Put<How> {
    /// The owned type that the ref will be of.
    type Object;

    /// The value in the form in which it is stored. Not public API.
    #[doc(hidden)]
    fn payload(&self, place: Place<'_>) -> Result<Payload>;
}

/// The cases of [`Put`].
pub mod how {
    /// Any serde type.
    #[derive(Debug)]
    pub struct Serde;
    /// A slice of plain elements.
    #[derive(Debug)]
    pub struct Slice;
    /// Text.
    #[derive(Debug)]
    pub struct Text;
    /// A view of an `ndarray`.
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
