//! Any serde value -> bytes -> the same value.

mod handles;
mod hostile;
mod limits;
mod properties;
mod tagged;
mod values;

use std::any::type_name;

use mobula_store::codec::{CodecError, decode, encode};
use serde::{Serialize, de::DeserializeOwned};

/// Encodes, decodes, and wants the same value; gives the bytes.
// It says nothing about the values when they differ: `Debug` of so many types compiles slowly.
#[track_caller]
fn round<T: Serialize + DeserializeOwned + PartialEq>(value: T) -> Vec<u8> {
    let encoded = match encode(&value) {
        Ok(encoded) => encoded,
        Err(error) => panic!("{error}"),
    };
    match decode::<T>(&encoded.bytes, &encoded.items) {
        Ok(back) if back == value => encoded.bytes,
        other => fail(type_name::<T>(), other.err(), &encoded.bytes),
    }
}

#[track_caller]
fn fail(name: &str, error: Option<CodecError>, bytes: &[u8]) -> ! {
    match error {
        Some(error) => panic!("{error}\n{bytes:02x?}"),
        None => panic!("another `{name}` came back from\n{bytes:02x?}"),
    }
}

/// The error of encoding.
#[track_caller]
fn refused<T: Serialize + ?Sized>(value: &T) -> String {
    let error = encode(value).expect_err("it cannot be written");
    assert!(error.is_encode() && !error.is_decode());
    error.to_string()
}

/// The error of decoding.
#[track_caller]
fn unreadable<T: DeserializeOwned>(bytes: &[u8]) -> String {
    let Err(error) = decode::<T>(bytes, &[]) else {
        panic!("it cannot be read")
    };
    assert!(error.is_decode() && !error.is_encode());
    error.to_string()
}

/// A double that is equal only to the same bits.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
struct Bits(f64);

impl PartialEq for Bits {
    fn eq(&self, other: &Bits) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

/// A byte string, as the `serde_bytes` crate has it.
#[derive(Clone, Debug, PartialEq)]
struct ByteString(Vec<u8>);

impl Serialize for ByteString {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for ByteString {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = ByteString;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<ByteString, E> {
                Ok(ByteString(bytes.to_vec()))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}
