//! Reads values: the requests of serde, and the bytes that are there.

use std::str;

use rmp_serde::MSGPACK_EXT_STRUCT_NAME;
use serde::{
    Deserializer,
    de::{Visitor, value::SeqDeserializer},
    forward_to_deserialize_any,
};

use super::{
    access::{Elements, Variant},
    error::Fault,
    format::{HUMAN_READABLE, NIL, ext, is_scalar},
    handle::HANDLE_NAME,
    reader::{Decoder, Token},
};

impl<'de> Decoder<'de> {
    /// Passes on a token, except bytes in a row. Those are for visitors that may want a sequence,
    /// so the visitors of structs and names need not be compiled for them.
    fn visit_any<V: Visitor<'de>>(
        &mut self,
        token: Token<'de>,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match token {
            Token::Scalar(marker) => self.visit_scalar(marker, visitor),
            Token::Ext(code @ (ext::I128 | ext::U128), payload) => {
                visit_number128(code, payload, visitor)
            }
            token => self.visit(token, visitor),
        }
    }

    /// Passes on a token like [`visit_any`](Self::visit_any), to a visitor that has asked for a
    /// sequence, a map or a name. Such a visitor does not want a number. It gets a number in the
    /// widest form, so that less code is compiled for each type of a program.
    fn visit<V: Visitor<'de>>(&mut self, token: Token<'de>, visitor: V) -> Result<V::Value, Fault> {
        match token {
            Token::Scalar(marker) => match self.scalar(marker)? {
                Scalar::Unsigned(value) => visitor.visit_u64(value),
                Scalar::Signed(value) => visitor.visit_i64(value),
                Scalar::Float(value) => visitor.visit_f64(value),
                Scalar::Bool(value) => visitor.visit_bool(value),
                Scalar::Unit => visitor.visit_unit(),
            },
            Token::Str(bytes) => visitor.visit_borrowed_str(text(bytes)?),
            Token::Bin(bytes) => visitor.visit_borrowed_bytes(bytes),
            Token::Array(len) => self.visit_elements(len, visitor),
            Token::Map(len) => {
                let mut pairs = Elements::enter(self, len)?;
                let value = visitor.visit_map(&mut pairs)?;
                pairs.finish(len)?;
                Ok(value)
            }
            Token::Ext(ext::SOME, payload) => self.visit_some(payload, visitor),
            Token::Ext(ext::HANDLE | ext::FOREIGN, payload) => self.visit_newtype(payload, visitor),
            Token::Ext(ext::BYTES | ext::I128 | ext::U128, _) => Err(token.refused_by(&visitor)),
            Token::Ext(code, payload) => Err(unknown_extension(code, payload)),
        }
    }

    /// Reads the scalar with this marker, in the widest form.
    #[cold]
    fn scalar(&mut self, marker: u8) -> Result<Scalar, Fault> {
        Ok(match marker {
            0x00..=0x7f => Scalar::Unsigned(marker.into()),
            0xc2 | 0xc3 => Scalar::Bool(marker == 0xc3),
            0xca => Scalar::Float(f32::from_be_bytes(self.number()?).into()),
            0xcb => Scalar::Float(f64::from_be_bytes(self.number()?)),
            0xcc => Scalar::Unsigned(u8::from_be_bytes(self.number()?).into()),
            0xcd => Scalar::Unsigned(u16::from_be_bytes(self.number()?).into()),
            0xce => Scalar::Unsigned(u32::from_be_bytes(self.number()?).into()),
            0xcf => Scalar::Unsigned(u64::from_be_bytes(self.number()?)),
            0xd0 => Scalar::Signed(i8::from_be_bytes(self.number()?).into()),
            0xd1 => Scalar::Signed(i16::from_be_bytes(self.number()?).into()),
            0xd2 => Scalar::Signed(i32::from_be_bytes(self.number()?).into()),
            0xd3 => Scalar::Signed(i64::from_be_bytes(self.number()?)),
            0xe0..=0xff => Scalar::Signed((marker as i8).into()),
            _ => Scalar::Unit,
        })
    }

    #[inline]
    fn visit_elements<V: Visitor<'de>>(&mut self, len: u32, visitor: V) -> Result<V::Value, Fault> {
        let mut elements = Elements::enter(self, len)?;
        let value = visitor.visit_seq(&mut elements)?;
        elements.finish(len)?;
        Ok(value)
    }

    #[inline]
    fn visit_scalar<V: Visitor<'de>>(&mut self, marker: u8, visitor: V) -> Result<V::Value, Fault> {
        match marker {
            0x00..=0x7f => visitor.visit_u8(marker),
            0xc2 | 0xc3 => visitor.visit_bool(marker == 0xc3),
            0xca => visitor.visit_f32(f32::from_be_bytes(self.number()?)),
            0xcb => visitor.visit_f64(f64::from_be_bytes(self.number()?)),
            0xcc => visitor.visit_u8(u8::from_be_bytes(self.number()?)),
            0xcd => visitor.visit_u16(u16::from_be_bytes(self.number()?)),
            0xce => visitor.visit_u32(u32::from_be_bytes(self.number()?)),
            0xcf => visitor.visit_u64(u64::from_be_bytes(self.number()?)),
            0xd0 => visitor.visit_i8(i8::from_be_bytes(self.number()?)),
            0xd1 => visitor.visit_i16(i16::from_be_bytes(self.number()?)),
            0xd2 => visitor.visit_i32(i32::from_be_bytes(self.number()?)),
            0xd3 => visitor.visit_i64(i64::from_be_bytes(self.number()?)),
            0xe0..=0xff => visitor.visit_i8(marker as i8),
            _ => visitor.visit_unit(),
        }
    }

    fn visit_some<V: Visitor<'de>>(
        &mut self,
        payload: &'de [u8],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let outer = self.open(payload)?;
        let value = visitor.visit_some(&mut *self)?;
        self.close(outer)?;
        Ok(value)
    }

    fn visit_newtype<V: Visitor<'de>>(
        &mut self,
        payload: &'de [u8],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let outer = self.open(payload)?;
        let value = visitor.visit_newtype_struct(&mut *self)?;
        self.close(outer)?;
        Ok(value)
    }
}

/// A number, a boolean or nothing.
enum Scalar {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Unit,
}

fn text(bytes: &[u8]) -> Result<&str, Fault> {
    str::from_utf8(bytes)
        .map_err(|error| Fault::new(format_args!("a string is not UTF-8: {error}")))
}

fn visit_number128<'de, V: Visitor<'de>>(
    code: u8,
    payload: &[u8],
    visitor: V,
) -> Result<V::Value, Fault> {
    match (code, <[u8; 16]>::try_from(payload)) {
        (ext::I128, Ok(bytes)) => visitor.visit_i128(i128::from_be_bytes(bytes)),
        (ext::U128, Ok(bytes)) => visitor.visit_u128(u128::from_be_bytes(bytes)),
        _ => Err(unknown_extension(code, payload)),
    }
}

#[cold]
fn unknown_extension(code: u8, payload: &[u8]) -> Fault {
    Fault::new(format_args!(
        "there is an extension of the type {code:#04x} and {} bytes, which means nothing",
        payload.len()
    ))
}

fn bytes_as_sequence<'de, V: Visitor<'de>>(bytes: &[u8], visitor: V) -> Result<V::Value, Fault> {
    let mut elements = SeqDeserializer::<_, Fault>::new(bytes.iter().copied());
    let value = visitor.visit_seq(&mut elements)?;
    elements.end()?;
    Ok(value)
}

macro_rules! scalars {
    ($($method:ident)*) => {
        $(#[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let marker = self.marker()?;
            if is_scalar(marker) {
                self.rest = &self.rest[1..];
                return self.visit_scalar(marker, visitor);
            }
            match self.next()? {
                Token::Ext(code @ (ext::I128 | ext::U128), payload) => {
                    visit_number128(code, payload, visitor)
                }
                token => Err(token.refused_by(&visitor)),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for &mut Decoder<'de> {
    type Error = Fault;

    scalars! {
        deserialize_bool deserialize_f32 deserialize_f64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.next()? {
            Token::Ext(ext::BYTES, bytes) => bytes_as_sequence(bytes, visitor),
            token => self.visit_any(token, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.marker()? == NIL {
            self.take(1)?;
            return visitor.visit_none();
        }
        if let Some(payload) = self.next_extension(ext::SOME)? {
            return self.visit_some(payload, visitor);
        }
        // `Some` counts as a level, too, since a type of options alone would read for ever.
        self.enter()?;
        let value = visitor.visit_some(&mut *self)?;
        self.leave();
        Ok(value)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.next()? {
            // The bytes were written as a sequence, and are wanted as bytes.
            Token::Ext(ext::BYTES, bytes) => visitor.visit_borrowed_bytes(bytes),
            token => self.visit(token, visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if let Some(len) = self.next_short_array()? {
            return self.visit_elements(len, visitor);
        }
        match self.next()? {
            // Either form may have been written when the other one is wanted.
            Token::Ext(ext::BYTES, bytes) | Token::Bin(bytes) => bytes_as_sequence(bytes, visitor),
            token => self.visit(token, visitor),
        }
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_map(visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let token = self.next()?;
        self.visit(token, visitor)
    }

    /// Reads the name of a field or a variant. Such short strings come more often than any other
    /// token.
    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.marker()? {
            marker @ 0xa0..=0xbf => visitor.visit_borrowed_str(text(self.short_text(marker)?)?),
            _ => self.deserialize_map(visitor),
        }
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.marker()? {
            marker @ 0xa0..=0xbf => visitor.visit_borrowed_str(text(self.short_text(marker)?)?),
            _ => match self.next()? {
                Token::Ext(ext::BYTES, bytes) => bytes_as_sequence(bytes, visitor),
                token => self.visit(token, visitor),
            },
        }
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let payload = match name {
            HANDLE_NAME => {
                if let Some(bytes) = self.next_handle() {
                    return visitor.visit_borrowed_bytes(bytes);
                }
                self.named_extension(ext::HANDLE, "an array or a ref")?
            }
            MSGPACK_EXT_STRUCT_NAME => self.named_extension(ext::FOREIGN, "an extension")?,
            _ => return visitor.visit_newtype_struct(self),
        };
        self.visit_newtype(payload, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        // The visitor reads a name without data.
        if matches!(self.marker()?, 0xa0..=0xbf | 0xd9..=0xdb) {
            return visitor.visit_enum(Variant::unit(self));
        }
        match self.next()? {
            Token::Map(1) => {
                self.enter()?;
                let value = visitor.visit_enum(Variant::with_data(self))?;
                self.leave();
                Ok(value)
            }
            token => Err(token.instead_of(&format!("a variant of `{name}`"))),
        }
    }

    fn is_human_readable(&self) -> bool {
        HUMAN_READABLE
    }

    forward_to_deserialize_any! {
        char unit unit_struct tuple_struct ignored_any
    }
}
