//! Writes values: passes serde's calls on to `rmp-serde` if that keeps their content.

use rmp_serde::MSGPACK_EXT_STRUCT_NAME;
use serde::{Serialize, Serializer, ser::SerializeSeq as _};

use super::{
    bytes::{ByteProbe, is_byte},
    compound::Compound,
    encoder::{Encoder, check_len},
    error::Fault,
    format::{HUMAN_READABLE, ext, reads_as_none},
    handle::HANDLE_NAME,
};

macro_rules! scalars {
    ($($method:ident($t:ty);)*) => {
        $(#[inline]
        fn $method(self, value: $t) -> Result<(), Fault> {
            Ok(self.out.$method(value)?)
        })*
    };
}

impl<'a> Serializer for &'a mut Encoder {
    type Ok = ();
    type Error = Fault;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Compound<'a>;
    type SerializeStructVariant = Compound<'a>;

    scalars! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
    }

    fn serialize_i128(self, value: i128) -> Result<(), Fault> {
        self.number128(ext::I128, value.to_be_bytes())
    }

    fn serialize_u128(self, value: u128) -> Result<(), Fault> {
        self.number128(ext::U128, value.to_be_bytes())
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Fault> {
        check_len(value.len())?;
        Ok(self.out.serialize_str(value)?)
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Fault> {
        check_len(value.len())?;
        Ok(self.out.serialize_bytes(value)?)
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Fault> {
        Ok(self.out.serialize_none()?)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Fault> {
        let start = self.position();
        self.nested(value)?;
        // The wrapped bytes are short: a nil, and extensions around it.
        if reads_as_none(&self.out.get_ref()[start..]) {
            self.wrap(start, ext::SOME)?;
        }
        Ok(())
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Fault> {
        Ok(self.out.serialize_unit()?)
    }

    #[inline]
    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Fault> {
        // `rmp-serde` would write an empty array, which does not read as a unit in untagged enums.
        Ok(self.out.serialize_unit()?)
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Fault> {
        self.serialize_str(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Fault> {
        let code = match name {
            HANDLE_NAME => ext::HANDLE,
            MSGPACK_EXT_STRUCT_NAME => ext::FOREIGN,
            _ => return value.serialize(self),
        };
        let start = self.position();
        self.nested(value)?;
        self.wrap(start, code)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Fault> {
        self.map_head(1)?;
        self.serialize_str(variant)?;
        self.nested(value)
    }

    #[inline]
    fn serialize_seq(self, len: Option<usize>) -> Result<Compound<'a>, Fault> {
        Compound::sequence(self, len)
    }

    #[inline]
    fn serialize_tuple(self, len: usize) -> Result<Compound<'a>, Fault> {
        Compound::sequence(self, Some(len))
    }

    #[inline]
    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        len: usize,
    ) -> Result<Compound<'a>, Fault> {
        Compound::tuple(self, len, 1)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Compound<'a>, Fault> {
        self.map_head(1)?;
        self.serialize_str(variant)?;
        Compound::tuple(self, len, 2)
    }

    #[inline]
    fn serialize_map(self, len: Option<usize>) -> Result<Compound<'a>, Fault> {
        Compound::map(self, len)
    }

    #[inline]
    fn serialize_struct(self, _name: &'static str, len: usize) -> Result<Compound<'a>, Fault> {
        Compound::structure(self, len, 1)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Compound<'a>, Fault> {
        self.map_head(1)?;
        self.serialize_str(variant)?;
        Compound::structure(self, len, 2)
    }

    fn is_human_readable(&self) -> bool {
        HUMAN_READABLE
    }

    fn collect_seq<I>(self, iter: I) -> Result<(), Fault>
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        let iter = iter.into_iter();
        let len = match iter.size_hint() {
            (low, Some(high)) if low == high => Some(low),
            _ => None,
        };
        // Bytes usually come in large numbers, so a loop without decisions pays.
        if let Some(len) = len
            && is_byte::<I::Item>()
            && Compound::packs(len)
        {
            self.bytes_head(ext::BYTES, len)?;
            let end = self.position() + len;
            self.buffer().reserve(len);
            for item in iter {
                self.buffer()
                    .push(item.serialize(ByteProbe).map_err(Fault::new)?);
            }
            if self.position() != end {
                return Err(Fault::new(
                    "an iterator over bytes has another length than it said",
                ));
            }
            return Ok(());
        }
        let mut sequence = self.serialize_seq(len)?;
        for item in iter {
            sequence.serialize_element(&item)?;
        }
        sequence.end()
    }
}
