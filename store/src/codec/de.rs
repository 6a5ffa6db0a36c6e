//! Reading: MessagePack, with extensions of ours.

use std::str;

use rmp_serde::MSGPACK_EXT_STRUCT_NAME;
use serde::{
    Deserializer,
    de::{Unexpected, Visitor, value::SeqDeserializer},
    forward_to_deserialize_any,
};

use super::{
    access::{Elements, Variant},
    error::Fault,
    format::{HUMAN_READABLE, MAX_DEPTH, NIL, ext, is_scalar},
    handle::HANDLE_NAME,
};

/// Reads one value.
pub(super) struct Decoder<'de> {
    /// What is still to be read. Inside of an extension: of its payload.
    rest: &'de [u8],
    /// The levels that are open.
    depth: u16,
}

/// The head of a value, with its payload where its length is known.
enum Token<'de> {
    /// The marker of nil, a truth value or a number. What the number is follows.
    Scalar(u8),
    Str(&'de [u8]),
    Bin(&'de [u8]),
    Array(u32),
    /// So many pairs.
    Map(u32),
    Ext(u8, &'de [u8]),
}

impl<'de> Decoder<'de> {
    pub(super) fn new(bytes: &'de [u8]) -> Decoder<'de> {
        Decoder {
            rest: bytes,
            depth: 0,
        }
    }

    /// Makes sure that nothing follows the value.
    pub(super) fn finish(&self) -> Result<(), Fault> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(surplus(left)),
        }
    }

    /// How many bytes are left: no fewer than the elements that can follow.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<&'de [u8], Fault> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| cut_off(len, self.rest))?;
        self.rest = rest;
        Ok(taken)
    }

    /// A length of `width` bytes, which follows a marker.
    fn length(&mut self, width: usize) -> Result<u32, Fault> {
        let bytes = &self.take(1 + width)?[1..];
        Ok(bytes
            .iter()
            .fold(0, |length, &byte| length << 8 | u32::from(byte)))
    }

    fn payload(&mut self, width: usize) -> Result<&'de [u8], Fault> {
        let len = self.length(width)?;
        self.take(len as usize)
    }

    fn extension(&mut self, len: usize) -> Result<Token<'de>, Fault> {
        let code = self.take(1)?[0];
        Ok(Token::Ext(code, self.take(len)?))
    }

    /// The `N` bytes of a number, which follow its marker.
    #[inline]
    fn number<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        match self.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => Err(cut_off(N, self.rest)),
        }
    }

    fn next(&mut self) -> Result<Token<'de>, Fault> {
        let Some(&marker) = self.rest.first() else {
            return Err(cut_off(1, &[]));
        };
        Ok(match marker {
            0xa0..=0xbf => {
                let text = self.take(1 + usize::from(marker & 0x1f))?;
                Token::Str(&text[1..])
            }
            0xd9..=0xdb => Token::Str(self.payload(1 << (marker - 0xd9))?),
            0xc4..=0xc6 => Token::Bin(self.payload(1 << (marker - 0xc4))?),
            0x90..=0x9f => {
                self.take(1)?;
                self.array(u32::from(marker & 0x0f))?
            }
            0xdc | 0xdd => {
                let len = self.length(2 << (marker - 0xdc))?;
                self.array(len)?
            }
            0x80..=0x8f => {
                self.take(1)?;
                self.map(u32::from(marker & 0x0f))?
            }
            0xde | 0xdf => {
                let len = self.length(2 << (marker - 0xde))?;
                self.map(len)?
            }
            0xc7..=0xc9 => {
                let len = self.length(1 << (marker - 0xc7))?;
                self.extension(len as usize)?
            }
            0xd4..=0xd8 => {
                self.take(1)?;
                self.extension(1 << (marker - 0xd4))?
            }
            0xc1 => return Err(Fault::new("the bytes are no MessagePack: a marker is 0xc1")),
            _ => {
                self.take(1)?;
                Token::Scalar(marker)
            }
        })
    }

    /// An array whose length can be true: each element takes a byte at least.
    #[inline]
    fn array(&self, len: u32) -> Result<Token<'de>, Fault> {
        if len as usize > self.rest.len() {
            return Err(cut_off(len as usize, self.rest));
        }
        Ok(Token::Array(len))
    }

    #[inline]
    fn map(&self, pairs: u32) -> Result<Token<'de>, Fault> {
        // A length of 2^32 - 1 pairs fits, since u64 is wider.
        if u64::from(pairs) * 2 > self.rest.len() as u64 {
            return Err(cut_off(pairs as usize, self.rest));
        }
        Ok(Token::Map(pairs))
    }

    /// The payload of an extension of that type, if that comes next.
    #[inline]
    fn next_extension(&mut self, wanted: u8) -> Result<Option<&'de [u8]>, Fault> {
        if !matches!(self.rest.first(), Some(0xc7..=0xc9 | 0xd4..=0xd8)) {
            return Ok(None);
        }
        let before = self.rest;
        match self.next()? {
            Token::Ext(code, payload) if code == wanted => Ok(Some(payload)),
            _ => {
                self.rest = before;
                Ok(None)
            }
        }
    }

    /// One level deeper.
    #[inline]
    pub(super) fn nested<R>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        if self.depth == MAX_DEPTH {
            return Err(too_deep());
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Reads the value that a payload is.
    fn inside<R>(
        &mut self,
        payload: &'de [u8],
        read: impl FnOnce(&mut Self) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let outer = std::mem::replace(&mut self.rest, payload);
        let result = self
            .nested(read)
            .and_then(|value| self.finish().map(|()| value));
        self.rest = outer;
        result
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

    fn visit<V: Visitor<'de>>(&mut self, token: Token<'de>, visitor: V) -> Result<V::Value, Fault> {
        match token {
            Token::Scalar(marker) => self.visit_scalar(marker, visitor),
            Token::Str(bytes) => visitor.visit_borrowed_str(text(bytes)?),
            Token::Bin(bytes) => visitor.visit_borrowed_bytes(bytes),
            Token::Array(len) => self.nested(|decoder| {
                let mut elements = Elements::new(decoder, len);
                let value = visitor.visit_seq(&mut elements)?;
                elements.finish(len).map(|()| value)
            }),
            Token::Map(len) => self.nested(|decoder| {
                let mut pairs = Elements::new(decoder, len);
                let value = visitor.visit_map(&mut pairs)?;
                pairs.finish(len).map(|()| value)
            }),
            Token::Ext(code, payload) => self.visit_extension(code, payload, visitor),
        }
    }

    fn visit_extension<V: Visitor<'de>>(
        &mut self,
        code: u8,
        payload: &'de [u8],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match code {
            ext::SOME => self.inside(payload, |decoder| visitor.visit_some(decoder)),
            ext::BYTES => bytes_as_sequence(payload, visitor),
            ext::I128 => visitor.visit_i128(i128::from_be_bytes(sixteen(payload)?)),
            ext::U128 => visitor.visit_u128(u128::from_be_bytes(sixteen(payload)?)),
            ext::HANDLE | ext::FOREIGN => {
                self.inside(payload, |decoder| visitor.visit_newtype_struct(decoder))
            }
            _ => Err(Fault::new(format_args!(
                "the bytes hold an extension of the unknown type {code:#04x}"
            ))),
        }
    }

    /// An extension of ours, asked for by its name.
    fn visit_named<V: Visitor<'de>>(
        &mut self,
        code: u8,
        what: &str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.next_extension(code)? {
            Some(payload) => self.inside(payload, |decoder| visitor.visit_newtype_struct(decoder)),
            None => {
                let found = self.next()?;
                Err(Fault::new(format_args!(
                    "{} where {what} should be",
                    found.unexpected()
                )))
            }
        }
    }
}

impl<'de> Token<'de> {
    fn unexpected(&self) -> Unexpected<'de> {
        match *self {
            Token::Scalar(NIL) => Unexpected::Unit,
            Token::Scalar(_) => Unexpected::Other("a scalar"),
            Token::Str(bytes) => {
                str::from_utf8(bytes).map_or(Unexpected::Bytes(bytes), Unexpected::Str)
            }
            Token::Bin(bytes) => Unexpected::Bytes(bytes),
            Token::Array(_) | Token::Ext(ext::BYTES, _) => Unexpected::Seq,
            Token::Map(_) => Unexpected::Map,
            Token::Ext(ext::SOME, _) => Unexpected::Option,
            Token::Ext(ext::HANDLE, _) => Unexpected::Other("an array or a ref"),
            Token::Ext(ext::I128 | ext::U128, _) => Unexpected::Other("a 128-bit integer"),
            Token::Ext(..) => Unexpected::Other("an extension"),
        }
    }
}

fn text(bytes: &[u8]) -> Result<&str, Fault> {
    str::from_utf8(bytes)
        .map_err(|error| Fault::new(format_args!("a string is not UTF-8: {error}")))
}

fn sixteen(payload: &[u8]) -> Result<[u8; 16], Fault> {
    payload.try_into().map_err(|_| {
        Fault::new(format_args!(
            "a 128-bit integer has {} bytes",
            payload.len()
        ))
    })
}

fn bytes_as_sequence<'de, V: Visitor<'de>>(bytes: &[u8], visitor: V) -> Result<V::Value, Fault> {
    let mut elements = SeqDeserializer::new(bytes.iter().copied());
    let value = visitor.visit_seq(&mut elements)?;
    elements.end().map(|()| value)
}

#[cold]
fn cut_off(wanted: usize, rest: &[u8]) -> Fault {
    Fault::new(format_args!(
        "the bytes are cut off: {wanted} more are needed at least, {} are left",
        rest.len()
    ))
}

#[cold]
fn surplus(left: usize) -> Fault {
    let bytes = if left == 1 {
        "byte follows"
    } else {
        "bytes follow"
    };
    Fault::new(format_args!("{left} {bytes} after the value"))
}

#[cold]
fn too_deep() -> Fault {
    Fault::new(format_args!("it nests more than {MAX_DEPTH} levels deep"))
}

impl<'de> Deserializer<'de> for &mut Decoder<'de> {
    type Error = Fault;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Some((&marker, rest)) = self.rest.split_first() else {
            return Err(cut_off(1, &[]));
        };
        if is_scalar(marker) {
            self.rest = rest;
            return self.visit_scalar(marker, visitor);
        }
        let token = self.next()?;
        self.visit(token, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.rest.first() == Some(&NIL) {
            self.take(1)?;
            return visitor.visit_none();
        }
        match self.next_extension(ext::SOME)? {
            Some(payload) => self.inside(payload, |decoder| visitor.visit_some(decoder)),
            // Bounded like the others: a type of options alone asks for ever.
            None => self.nested(|decoder| visitor.visit_some(decoder)),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.next()? {
            // They were a sequence when they were written, and are wanted as what they are.
            Token::Ext(ext::BYTES, bytes) => visitor.visit_borrowed_bytes(bytes),
            token => self.visit(token, visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.next()? {
            Token::Bin(bytes) => bytes_as_sequence(bytes, visitor),
            token => self.visit(token, visitor),
        }
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    /// Names of fields and variants: short strings, met more often than anything else.
    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.rest.first() {
            Some(&marker @ 0xa0..=0xbf) => {
                let name = self.take(1 + usize::from(marker & 0x1f))?;
                visitor.visit_borrowed_str(text(&name[1..])?)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match name {
            HANDLE_NAME => self.visit_named(ext::HANDLE, "an array or a ref", visitor),
            MSGPACK_EXT_STRUCT_NAME => self.visit_named(ext::FOREIGN, "an extension", visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        // The name is read by the visitor.
        if matches!(self.rest.first(), Some(0xa0..=0xbf | 0xd9..=0xdb)) {
            return visitor.visit_enum(Variant::unit(self));
        }
        match self.next()? {
            Token::Map(1) => self.nested(|decoder| visitor.visit_enum(Variant::with_data(decoder))),
            found => Err(Fault::new(format_args!(
                "{} where a variant of `{name}` should be",
                found.unexpected()
            ))),
        }
    }

    fn is_human_readable(&self) -> bool {
        HUMAN_READABLE
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string unit unit_struct
        tuple_struct map struct ignored_any
    }
}
