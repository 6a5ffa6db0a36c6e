//! Reads the bytes of a value, head by head.

use std::str;

use serde::de::{Unexpected, Visitor};

use super::{
    error::Fault,
    format::{HANDLE_BYTES, HANDLE_HEAD, MAX_DEPTH, NIL, ext, is_scalar},
};

/// Reads one value. The code for its type is in `de`.
pub(super) struct Decoder<'de> {
    /// The bytes that are still to be read. Inside an extension they are those of its payload.
    pub(super) rest: &'de [u8],
    /// The number of open levels.
    depth: u16,
    /// The most levels that may be open.
    most: u16,
    /// Whether an element failed. Then the beginning of the next one is unknown.
    failed: bool,
}

/// The head of a value, with its payload if its length is known.
pub(super) enum Token<'de> {
    /// The marker of nil, a truth value or a number. The bytes of the number follow.
    Scalar(u8),
    Str(&'de [u8]),
    Bin(&'de [u8]),
    Array(u32),
    /// The number of pairs.
    Map(u32),
    Ext(u8, &'de [u8]),
}

impl<'de> Decoder<'de> {
    pub(super) fn new(bytes: &'de [u8]) -> Decoder<'de> {
        Decoder::within(bytes, MAX_DEPTH)
    }

    /// Returns a decoder that opens at most `most` levels.
    pub(super) fn within(bytes: &'de [u8], most: u16) -> Decoder<'de> {
        Decoder {
            rest: bytes,
            depth: 0,
            most,
            failed: false,
        }
    }

    /// Returns the bytes that follow.
    pub(super) fn rest(&self) -> Result<&'de [u8], Fault> {
        if self.failed {
            return Err(Fault::new(
                "an element failed, and its owner passed over the error",
            ));
        }
        Ok(self.rest)
    }

    /// Checks that all was read, and no byte follows.
    pub(super) fn finish(&self) -> Result<(), Fault> {
        match self.rest()?.len() {
            0 => Ok(()),
            1 => Err(Fault::new("1 byte follows after the value")),
            left => Err(Fault::new(format_args!(
                "{left} bytes follow after the value"
            ))),
        }
    }

    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    /// Returns the number of bytes that are left. At most that many elements can follow.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Goes one level deeper. After an error no code leaves the level, since the whole reading has
    /// failed then.
    #[inline]
    pub(super) fn enter(&mut self) -> Result<(), Fault> {
        if self.depth == self.most {
            return Err(too_deep(self.most));
        }
        self.depth += 1;
        Ok(())
    }

    #[inline]
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Goes into a payload, which is a value. Returns the bytes that are to be read after it.
    pub(super) fn open(&mut self, payload: &'de [u8]) -> Result<&'de [u8], Fault> {
        self.enter()?;
        Ok(std::mem::replace(&mut self.rest, payload))
    }

    /// Leaves a payload.
    pub(super) fn close(&mut self, outer: &'de [u8]) -> Result<(), Fault> {
        self.finish()?;
        self.rest = outer;
        self.leave();
        Ok(())
    }

    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Result<&'de [u8], Fault> {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(cut_off(len, self.rest)),
        }
    }

    /// Reads the `N` bytes of a number, which follow its marker.
    #[inline]
    pub(super) fn number<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        match self.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => Err(cut_off(N, self.rest)),
        }
    }

    /// Returns the next marker, which stays in place.
    #[inline]
    pub(super) fn marker(&self) -> Result<u8, Fault> {
        match self.rest.first() {
            Some(&marker) => Ok(marker),
            None => Err(cut_off(1, self.rest)),
        }
    }

    pub(super) fn next(&mut self) -> Result<Token<'de>, Fault> {
        let marker = self.marker()?;
        match marker {
            0xa0..=0xbf => self.short_text(marker).map(Token::Str),
            0xd9..=0xdb => self.sized(1 << (marker - 0xd9)).map(Token::Str),
            0xc4..=0xc6 => self.sized(1 << (marker - 0xc4)).map(Token::Bin),
            0x90..=0x9f => {
                self.take(1)?;
                self.array(u32::from(marker & 0x0f))
            }
            0xdc | 0xdd => {
                let len = self.length(2 << (marker - 0xdc))?;
                self.array(len)
            }
            0x80..=0x8f => {
                self.take(1)?;
                self.map(u32::from(marker & 0x0f))
            }
            0xde | 0xdf => {
                let pairs = self.length(2 << (marker - 0xde))?;
                self.map(pairs)
            }
            0xc7..=0xc9 => {
                let len = self.length(1 << (marker - 0xc7))?;
                self.extension(len as usize)
            }
            0xd4..=0xd8 => {
                self.take(1)?;
                self.extension(1 << (marker - 0xd4))
            }
            _ if is_scalar(marker) => self.take(1).map(|_| Token::Scalar(marker)),
            _ => Err(Fault::new(format_args!(
                "{marker:#04x} begins no MessagePack value"
            ))),
        }
    }

    /// Reads the bytes of a string whose length is in its marker.
    #[inline]
    pub(super) fn short_text(&mut self, marker: u8) -> Result<&'de [u8], Fault> {
        Ok(&self.take(1 + usize::from(marker & 0x1f))?[1..])
    }

    /// Reads the length of an array whose length is in its marker, if one comes next.
    #[inline]
    pub(super) fn next_short_array(&mut self) -> Result<Option<u32>, Fault> {
        match self.rest.split_first() {
            Some((marker @ 0x90..=0x9f, rest)) => {
                let len = u32::from(marker & 0x0f);
                if len as usize > rest.len() {
                    return Err(cut_off(len as usize, rest));
                }
                self.rest = rest;
                Ok(Some(len))
            }
            _ => Ok(None),
        }
    }

    /// Reads a length of `width` bytes, which follows a marker.
    fn length(&mut self, width: usize) -> Result<u32, Fault> {
        let bytes = &self.take(1 + width)?[1..];
        Ok(bytes
            .iter()
            .fold(0, |length, &byte| length << 8 | u32::from(byte)))
    }

    fn sized(&mut self, width: usize) -> Result<&'de [u8], Fault> {
        let len = self.length(width)?;
        self.take(len as usize)
    }

    fn extension(&mut self, len: usize) -> Result<Token<'de>, Fault> {
        let [code] = self.number()?;
        Ok(Token::Ext(code, self.take(len)?))
    }

    /// Returns the token of an array if its length can be true: each element takes at least a byte.
    fn array(&self, len: u32) -> Result<Token<'de>, Fault> {
        if len as usize > self.rest.len() {
            return Err(cut_off(len as usize, self.rest));
        }
        Ok(Token::Array(len))
    }

    fn map(&self, pairs: u32) -> Result<Token<'de>, Fault> {
        let least = (pairs as usize).saturating_mul(2);
        if least > self.rest.len() {
            return Err(cut_off(least, self.rest));
        }
        Ok(Token::Map(pairs))
    }

    /// Reads the payload of an extension of that type, if one comes next.
    #[inline]
    pub(super) fn next_extension(&mut self, wanted: u8) -> Result<Option<&'de [u8]>, Fault> {
        match self.rest.first() {
            Some(0xc7..=0xc9 | 0xd4..=0xd8) => self.checked_extension(wanted),
            _ => Ok(None),
        }
    }

    fn checked_extension(&mut self, wanted: u8) -> Result<Option<&'de [u8]>, Fault> {
        let before = self.rest;
        match self.next()? {
            Token::Ext(code, payload) if code == wanted => Ok(Some(payload)),
            _ => {
                self.rest = before;
                Ok(None)
            }
        }
    }

    /// Reads the bytes of a handle, if one comes next in its usual form. The general way would find
    /// it, too, several steps later.
    #[inline]
    pub(super) fn next_handle(&mut self) -> Option<&'de [u8; HANDLE_BYTES]> {
        let (head, rest) = self.rest.split_first_chunk()?;
        let (bytes, rest) = rest.split_first_chunk()?;
        // The general way is two levels deeper here.
        if *head != HANDLE_HEAD || self.depth + 2 > self.most {
            return None;
        }
        self.rest = rest;
        Some(bytes)
    }

    /// Reads the payload of an extension of that type. Otherwise returns an error that names the
    /// token there.
    pub(super) fn named_extension(&mut self, code: u8, what: &str) -> Result<&'de [u8], Fault> {
        match self.next_extension(code)? {
            Some(payload) => Ok(payload),
            None => Err(self.next()?.instead_of(what)),
        }
    }
}

impl<'de> Token<'de> {
    /// Returns the error that the visitor wants another type.
    #[cold]
    pub(super) fn refused_by<V: Visitor<'de>>(self, visitor: &V) -> Fault {
        serde::de::Error::invalid_type(self.unexpected(), visitor)
    }

    /// Returns the error that names the token that should be here.
    #[cold]
    pub(super) fn instead_of(self, what: &str) -> Fault {
        Fault::new(format_args!("{} where {what} should be", self.unexpected()))
    }

    fn unexpected(&self) -> Unexpected<'de> {
        match *self {
            Token::Scalar(NIL) => Unexpected::Unit,
            Token::Scalar(_) => Unexpected::Other("a number or truth value"),
            Token::Str(bytes) => match str::from_utf8(bytes) {
                Ok(text) => Unexpected::Str(text),
                Err(_) => Unexpected::Bytes(bytes),
            },
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

#[cold]
fn cut_off(wanted: usize, rest: &[u8]) -> Fault {
    Fault::new(format_args!(
        "the bytes are cut off: {wanted} more are needed at least, {} are left",
        rest.len()
    ))
}

#[cold]
fn too_deep(most: u16) -> Fault {
    Fault::new(format_args!(
        "it nests more than {most} levels deep; keep the elements of a list or a tree in a `Vec`, and refer to them by index"
    ))
}
