//! The codecs, which turn the values of each kind of type into payloads and back.
//!
//! The types in a remote function's signature are known where its shim is compiled. So the codec of
//! each is chosen there (see [`probe`](super::probe)). Code that is generic over all serde types
//! calls [`encode_value`] and [`decode_value`], which look into a table. Both ways give and accept
//! the same payloads.

mod cache;
mod flat;
mod none;
mod packed;
mod path;
mod scalar;
mod text;

use std::any::Any;

use mobula_protocol::{Error, Format, Gathered, Input, ObjectId, Payload, Result, TypeTag};
use mobula_worker::batch::BatchResults;

pub use cache::{Lent, Sharing};
pub use flat::{Elements, FlatArray, FlatOrPackedSlice, FlatSlice, FlatVec, PlainVec, RefToVec};
pub use none::NoCodec;
pub use packed::{Packed, PackedSlice, PackedVec};
pub use path::BorrowedPath;
pub use text::{OwnedText, Text};

use super::{
    Value,
    bytes::{pack, tag, unpack},
    flat as table,
    flat::Types,
    place::Place,
};

/// How a `T` travels. Not public API.
pub trait Codec<T: ?Sized> {
    /// Keeps a resolved argument for the time of a call.
    type Guard;

    /// Returns the value as a payload.
    ///
    /// # Errors
    /// The value cannot be encoded, or the store is full.
    fn encode(&self, value: &T, place: Place<'_>) -> Result<Payload>;

    /// Resolves an argument that the function borrows.
    ///
    /// # Errors
    /// The argument is of another type, or damaged.
    fn lend(&self, input: Input) -> Result<Self::Guard>;

    /// Returns the borrow that the function gets.
    ///
    /// # Errors
    /// The argument is damaged.
    fn borrow<'g>(&self, guard: &'g Self::Guard) -> Result<&'g T>;

    /// Adds what this codec knows about the type to the table.
    fn learn(&self, types: &mut Types);
}

/// How a `T` is taken out of the store as a value of the function's own. Not public API.
pub trait Own<T>: Codec<T> {
    /// Resolves the argument.
    ///
    /// # Errors
    /// The argument is of another type, or damaged.
    fn own(&self, input: Input) -> Result<T>;

    /// Resolves the argument in place, if that is simple. `None` leaves the argument to
    /// [`own`](Own::own).
    #[inline]
    fn read(&self, _payload: &Payload) -> Option<T> {
        None
    }
}

/// Accepts every type: it has a codec. [`NoCodec`] has a method of this name with a bound, which
/// comes before this one. Not public API.
pub trait Admits {
    /// Does nothing.
    fn admits<T: ?Sized>(&self) {}
}

impl<C> Admits for C {}

/// Returns a value of any serde type as a payload.
///
/// # Errors
/// The type's `Serialize` fails, or the store is full.
pub(crate) fn encode_value<T: Value>(value: &T, place: Place<'_>) -> Result<Payload> {
    if let Some(payload) = scalar::encode(value) {
        return Ok(payload);
    }
    match table::encode(value, place) {
        Some(payload) => payload,
        None => pack(value, tag::<T>(), place),
    }
}

/// Decodes a payload as a value of any serde type.
///
/// # Errors
/// The payload is of another type, or its bytes are damaged.
pub(crate) fn decode_value<T: Value>(payload: Payload) -> Result<T> {
    if let Some(value) = scalar::decode(&payload) {
        return Ok(value);
    }
    if let Format::Packed { .. } = payload.format {
        return unpack(payload, |of| of == tag::<T>());
    }
    match table::decode(payload) {
        Ok(value) => value,
        Err(payload) => unpack(payload, |of| of == tag::<T>()),
    }
}

/// Returns the next result of a batch as a value of any serde type. Returns `None` after the last.
///
/// # Errors
/// The errors of the call, and of [`decode_value`].
#[inline]
pub(crate) fn next_value<T: Value>(results: &mut BatchResults) -> Option<Result<T>> {
    if let Some(value) = results.next_packed(tag::<T>(), scalar::read) {
        return Some(Ok(value));
    }
    Some(results.next()?.and_then(decode_value))
}

/// Returns the payload of an argument that is one object or value.
#[inline]
pub(crate) fn single<T: ?Sized>(input: Input) -> Result<(Payload, Option<ObjectId>)> {
    match input {
        Input::Value(payload, id) => Ok((payload, id)),
        Input::Gather(many) => Err(Error::type_mismatch(format!(
            "expected `{}`, found {} values",
            std::any::type_name::<T>(),
            many.len()
        ))),
    }
}

/// Returns the values of many objects.
fn gather<T: Value>(many: Gathered) -> Result<Vec<T>> {
    let mut values = Vec::with_capacity(many.len());
    for payload in many {
        values.push(decode_value(payload?)?);
    }
    Ok(values)
}

/// Returns whether the tag is of a type whose values read as slices of `E`.
fn reads_as_slice<E: Any>(of: TypeTag) -> bool {
    macro_rules! lengths {
        ($($n:literal)*) => { $(of == tag::<[E; $n]>())||* };
    }
    // serde supports fixed arrays up to the length 32.
    of == tag::<Vec<E>>()
        || lengths!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32)
}
