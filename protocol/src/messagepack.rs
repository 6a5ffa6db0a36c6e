//! Errors, options and frames as MessagePack.
//!
//! The compiler makes the code that reads or writes a type anew for each kind of reader and writer.
//! It also does so in each crate that asks. So this module has one writer of `rmp-serde`, and the
//! reader of `mobula-store`, which takes a tenth of the code of that of `rmp-serde`. Other crates
//! get functions for single types.
//!
//! Two forms do not come back: 128-bit integers, and unit structs. The types here have none.

use mobula_store::codec::{self, CodecError, MAX_DEPTH};
use rmp_serde::{Serializer, encode};
use serde::{Serialize, de::DeserializeOwned};

/// Returns the encoded value.
pub(crate) fn to_vec(value: &impl Serialize) -> Result<Vec<u8>, encode::Error> {
    let mut bytes = Vec::new();
    write(&mut bytes, value)?;
    Ok(bytes)
}

/// Appends the encoded value. Types are asked for the form that the reader asks for.
pub(crate) fn write(bytes: &mut Vec<u8>, value: &impl Serialize) -> Result<(), encode::Error> {
    value.serialize(&mut Serializer::new(bytes).with_human_readable())
}

/// Returns the value that takes up all of `bytes`.
pub(crate) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    nested(bytes, MAX_DEPTH)
}

/// Returns the value that takes up all of `bytes`, if it nests at most `levels` deep.
pub(crate) fn nested<T: DeserializeOwned>(bytes: &[u8], levels: u16) -> Result<T, String> {
    match codec::decode_first(bytes, levels) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes follow after the value", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns the value at the beginning of `bytes`.
pub(crate) fn first_of<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    codec::decode_first(bytes, MAX_DEPTH).map(|(value, _)| value)
}
