//! Values of ours as MessagePack.
//!
//! The compiler makes the code that reads or writes a type anew for each kind of reader and writer,
//! and in each crate that asks for it. So the whole crate uses one writer of `rmp-serde` and the
//! reader of `mobula-store`, which is a tenth of the code of that of `rmp-serde`. Other crates call
//! functions without type parameters.

use mobula_store::codec::{self, CodecError, MAX_DEPTH};
use rmp_serde::encode;
use serde::{Serialize, de::DeserializeOwned};

/// Returns the encoded value.
pub(crate) fn to_vec(value: &impl Serialize) -> Result<Vec<u8>, encode::Error> {
    let mut bytes = Vec::new();
    write(&mut bytes, value)?;
    Ok(bytes)
}

/// Appends the encoded value.
pub(crate) fn write(mut bytes: &mut Vec<u8>, value: &impl Serialize) -> Result<(), encode::Error> {
    encode::write(&mut bytes, value)
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
