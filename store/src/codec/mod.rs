//! The encoding of values: any serde value as bytes, and back.
//!
//! [`encode`] writes MessagePack through `rmp-serde`, and [`decode`] reads it. An adapter between
//! serde and `rmp-serde` keeps what plain MessagePack would lose:
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
//! Extensions have their own type, so they also pass through the buffers of untagged and internally
//! tagged enums and of flattened fields. For this reason types are asked for their human-readable
//! form, too. The buffers always ask for it, whatever the format says. An `IpAddr` that was written
//! in the compact form could not be read back out of them.
//!
//! All other bytes are those that `rmp-serde` writes, and each side reads them from the other. The
//! reader is not that of `rmp-serde`. Options and extensions need to know the next token and its
//! position, and that reader tells neither.
//!
//! A value that another program wrote may have its origin before it: see [`origin`](origin()).
//!
//! # What does not come back
//! A value loses what the serde code of its type loses: `#[serde(skip)]` fields, and untagged
//! variants that look alike. 128-bit integers cannot pass through serde's buffers, and then
//! [`decode`] fails with a clear error.
//!
//! # Limits
//! Values nest at most [`MAX_DEPTH`] levels deep, equally on both sides. A string, byte string or
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
mod origin;
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
pub use origin::origin;
pub use out_of_band::{deserialize_handle, serialize_handle};
pub use tag::type_tag;

/// An encoded value.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The bytes of the value, without the arrays and refs.
    pub bytes: Vec<u8>,
    /// The arrays and refs that the bytes refer to by index, in the order in which they came. One
    /// that the value holds twice is here twice.
    pub items: Vec<Handle>,
}

/// Writes a value as bytes.
///
/// The time is linear in the number of bytes. Arrays and refs inside the value are only listed, not
/// copied.
///
/// # Errors
/// Fails if the type's `Serialize` fails, or announces other lengths than it writes. Fails if the
/// value nests deeper than [`MAX_DEPTH`] levels.
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

/// Writes a value like [`encode`], but only lends the bytes to `then`. Small values cost no
/// allocation.
///
/// # Errors
/// Fails in the cases of [`encode`].
pub fn encode_with<T: Serialize + ?Sized, R>(
    value: &T,
    then: impl FnOnce(&[u8], Vec<Handle>) -> R,
) -> Result<R, CodecError> {
    let scope = scope::Scope::encode();
    // The buffer is taken and not borrowed, since the value's `Serialize` may encode other values.
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

/// The largest capacity of a kept buffer, in bytes.
const KEEP: usize = 64 << 10;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Reads a value that [`encode`] wrote, with the items that it listed.
///
/// The bytes need not be trusted. With any bytes, the result is a value or an error, and the memory
/// is in proportion to the bytes.
///
/// # Errors
/// Fails if the bytes are not a `T`, are cut off, or go on after it. Fails if they refer to items
/// that are missing or of another kind.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], items: &[Handle]) -> Result<T, CodecError> {
    decode_with(bytes, items.iter().cloned())
}

/// Reads a value like [`decode`], with owned items. The items of a value with very many refs need
/// not be cloned once more.
///
/// # Errors
/// Fails in the cases of [`decode`].
pub fn decode_with<T: DeserializeOwned>(
    bytes: &[u8],
    items: impl ExactSizeIterator<Item = Handle>,
) -> Result<T, CodecError> {
    let _scope = scope::Scope::decode(items);
    let (origin, bytes) = origin::split(bytes);
    let mut decoder = reader::Decoder::new(bytes);
    T::deserialize(&mut decoder)
        .and_then(|value| decoder.finish().map(|()| value))
        .map_err(|error| CodecError::decode::<T>(bytes.len(), &error).of_origin(origin))
}

/// Reads a value at the beginning of plain MessagePack, without items. Returns it with the bytes
/// that follow.
///
/// The bytes need not be trusted, as with [`decode`]. Structs may be maps or sequences. 128-bit
/// integers and unit structs are read in the form of [`encode`] only. The compiler makes less code
/// for each type than for `rmp-serde`.
///
/// # Errors
/// Fails if the bytes do not begin with a `T`, or nest deeper than `levels` or [`MAX_DEPTH`].
///
/// # Example
/// ```
/// let bytes = [0x92, 7, 0xa1, b'x', 9];
/// let (pair, rest) = mobula_store::codec::decode_first::<(u8, String)>(&bytes, 1)?;
/// assert_eq!((pair, rest), ((7, "x".to_owned()), &[9][..]));
/// # Ok::<(), mobula_store::codec::CodecError>(())
/// ```
pub fn decode_first<T: DeserializeOwned>(
    bytes: &[u8],
    levels: u16,
) -> Result<(T, &[u8]), CodecError> {
    let mut decoder = reader::Decoder::within(bytes, levels.min(MAX_DEPTH));
    T::deserialize(&mut decoder)
        .and_then(|value| decoder.rest().map(|rest| (value, rest)))
        .map_err(|error| CodecError::decode::<T>(bytes.len(), &error))
}
