//! Values as bytes: any serde value, and the same value back.
//!
//! [`encode`] writes MessagePack through `rmp-serde`, and [`decode`] reads it. Between serde and
//! `rmp-serde` stands an adapter which keeps what MessagePack as such would lose:
//!
//! | What | How it is written |
//! | --- | --- |
//! | structs, struct variants | maps by field name, so that skipped fields cannot shift others |
//! | variants | by name |
//! | `Some(x)` where `x` is written as nil | an extension around the nil; other `Some(x)` as `x` |
//! | `u8`s in a row (`Vec<u8>`, `[u8; N]`, sets) | an extension: one byte each, yet a sequence |
//! | `i128`, `u128` | an extension of 16 bytes |
//! | arrays and refs | an extension with an index into [`Encoded::items`] |
//! | other values of `rmp-serde`'s `_ExtStruct` | an extension around the (type, bytes) pair |
//!
//! Extensions say what they are wherever they stand, so they also pass through the buffers of
//! untagged and internally tagged enums and of flattened fields. For the same reason types are
//! asked for their human-readable form: the buffers always ask for it, whatever the format says,
//! and an `IpAddr` that was written in the compact form could not be read back out of them.
//!
//! All that remains is what `rmp-serde` writes, too, and each reads it from the other. The reader
//! is our own: that of `rmp-serde` does not say what comes next, nor where it stands, which is what
//! options and extensions need.
//!
//! # What does not come back
//! What a type's own serde code loses is lost: `#[serde(skip)]`, untagged variants that look
//! alike. 128-bit integers cannot pass through serde's buffers; [`decode`] says so.
//!
//! # Limits
//! Values nest at most [`MAX_DEPTH`] levels deep, alike on both sides. A string, byte string or
//! collection has at most 2³² − 1 bytes or elements.

mod access;
mod array;
mod bytes;
mod compound;
mod de;
mod encoder;
mod error;
mod format;
mod handle;
mod out_of_band;
mod reader;
mod scope;
mod ser;
mod tag;

use std::cell::Cell;

use serde::{Serialize, de::DeserializeOwned};

pub use error::CodecError;
pub use format::{MAX_DEPTH, NIL};
pub use handle::{ArrayHandle, Handle, HandleKind};
pub use out_of_band::{deserialize_handle, serialize_handle};
pub use tag::type_tag;

/// An encoded value.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The value, but for what travels out of band.
    pub bytes: Vec<u8>,
    /// What the bytes refer to by index: arrays and refs, in the order in which they were met. One
    /// that the value holds twice is here twice.
    pub items: Vec<Handle>,
}

/// Writes a value as bytes.
///
/// The time is linear in the size of the bytes; arrays and refs inside the value are not copied,
/// only listed.
///
/// # Errors
/// If the type's `Serialize` fails or announces other lengths than it writes, or if the value
/// nests deeper than [`MAX_DEPTH`] levels.
///
/// # Example
/// ```
/// let value = vec![Some(None), None, Some(Some(7))];
/// let encoded = mobula_store::codec::encode(&value)?;
/// let back = mobula_store::codec::decode::<Vec<Option<Option<u8>>>>(&encoded.bytes, &[])?;
/// assert_eq!(back, value);
/// # Ok::<(), mobula_store::codec::CodecError>(())
/// ```
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Encoded, CodecError> {
    encode_with(value, |bytes, items| Encoded {
        bytes: bytes.to_vec(),
        items,
    })
}

/// As [`encode`], but the bytes are only lent: small values cost no allocation.
///
/// # Errors
/// As for [`encode`].
pub fn encode_with<T: Serialize + ?Sized, R>(
    value: &T,
    then: impl FnOnce(&[u8], Vec<Handle>) -> R,
) -> Result<R, CodecError> {
    let scope = scope::Scope::encode();
    // Taken, not borrowed: the value's `Serialize` may encode others.
    let mut encoder = encoder::Encoder::into(BUFFER.try_with(Cell::take).unwrap_or_default());
    let written = value
        .serialize(&mut encoder)
        .and_then(|()| encoder.finish());
    let mut bytes = match written {
        Ok(bytes) => bytes,
        Err(error) => return Err(CodecError::encode::<T>(&error)),
    };
    let result = then(&bytes, scope.finish());
    if bytes.capacity() <= KEEP {
        bytes.clear();
        let _ = BUFFER.try_with(|buffer| buffer.set(bytes));
    }
    Ok(result)
}

/// A larger buffer is not kept.
const KEEP: usize = 64 << 10;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Reads a value that [`encode`] wrote, with the items that it listed.
///
/// The bytes need not be trusted: whatever they are, the result is a value or an error, and memory
/// is taken only in proportion to what is there.
///
/// # Errors
/// If the bytes are not a `T`, are cut off or go on after it, or refer to items that are not there
/// or are something else.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], items: &[Handle]) -> Result<T, CodecError> {
    decode_with(bytes, items.iter().cloned())
}

/// As [`decode`], with items that are given away: those of a value with very many refs need not be
/// cloned once more.
///
/// # Errors
/// As for [`decode`].
pub fn decode_with<T: DeserializeOwned>(
    bytes: &[u8],
    items: impl ExactSizeIterator<Item = Handle>,
) -> Result<T, CodecError> {
    let _scope = scope::Scope::decode(items);
    let mut decoder = reader::Decoder::new(bytes);
    T::deserialize(&mut decoder)
        .and_then(|value| decoder.finish().map(|()| value))
        .map_err(|error| CodecError::decode::<T>(bytes.len(), &error))
}
