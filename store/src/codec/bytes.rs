//! Tells `u8` from other elements.

use std::{any::type_name, fmt};

use serde::{
    Serialize, Serializer,
    ser::{self, Impossible},
};

/// Returns whether `T` is `u8`, or a reference to one, which iterators over slices give.
///
/// `T` need not be `'static`, so there is no `TypeId`. No other type has this name, since the names
/// of others have the path of their crate. If one did, [`ByteProbe`] would refuse it.
pub(super) fn is_byte<T: ?Sized>() -> bool {
    matches!(type_name::<T>(), "u8" | "&u8")
}

/// Takes the value out of a `u8`, and refuses all other types.
///
/// It compiles to a copy of the byte. To write a number and read it back would not.
pub(super) struct ByteProbe;

/// The value was not a `u8`.
#[derive(Debug)]
pub(super) struct NoByte;

impl fmt::Display for NoByte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an element named `u8` is not a byte")
    }
}

impl std::error::Error for NoByte {}

impl ser::Error for NoByte {
    fn custom<T: fmt::Display>(_: T) -> NoByte {
        NoByte
    }
}

macro_rules! refuse {
    ($($method:ident($($arg:ty),*) -> $ok:ty;)*) => {
        $(fn $method(self, $(_: $arg),*) -> Result<$ok, NoByte> {
            Err(NoByte)
        })*
    };
}

type No = Impossible<u8, NoByte>;

impl Serializer for ByteProbe {
    type Ok = u8;
    type Error = NoByte;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = No;
    type SerializeStruct = No;
    type SerializeStructVariant = No;

    fn serialize_u8(self, value: u8) -> Result<u8, NoByte> {
        Ok(value)
    }

    refuse! {
        serialize_bool(bool) -> u8;
        serialize_i8(i8) -> u8;
        serialize_i16(i16) -> u8;
        serialize_i32(i32) -> u8;
        serialize_i64(i64) -> u8;
        serialize_u16(u16) -> u8;
        serialize_u32(u32) -> u8;
        serialize_u64(u64) -> u8;
        serialize_f32(f32) -> u8;
        serialize_f64(f64) -> u8;
        serialize_char(char) -> u8;
        serialize_str(&str) -> u8;
        serialize_bytes(&[u8]) -> u8;
        serialize_none() -> u8;
        serialize_unit() -> u8;
        serialize_unit_struct(&'static str) -> u8;
        serialize_unit_variant(&'static str, u32, &'static str) -> u8;
        serialize_seq(Option<usize>) -> No;
        serialize_tuple(usize) -> No;
        serialize_tuple_struct(&'static str, usize) -> No;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> No;
        serialize_map(Option<usize>) -> No;
        serialize_struct(&'static str, usize) -> No;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> No;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<u8, NoByte> {
        Err(NoByte)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<u8, NoByte> {
        Err(NoByte)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<u8, NoByte> {
        Err(NoByte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_u8_is_a_byte() {
        assert!(is_byte::<u8>() && is_byte::<&u8>());
        assert!(!is_byte::<i8>() && !is_byte::<bool>() && !is_byte::<u16>());
        assert!(!is_byte::<[u8]>() && !is_byte::<std::num::NonZeroU8>() && !is_byte::<&&u8>());
    }

    #[test]
    fn a_type_of_the_same_name_is_no_byte() {
        #[allow(non_camel_case_types, dead_code)]
        struct u8();
        assert!(!is_byte::<u8>() && !is_byte::<&u8>());
    }

    #[test]
    fn the_probe_takes_bytes_only() {
        assert_eq!(7_u8.serialize(ByteProbe).ok(), Some(7));
        assert!(7_i8.serialize(ByteProbe).is_err());
        assert!([7_u8].serialize(ByteProbe).is_err());
    }
}
