//! Reads the parts of messages. Every step checks that the bytes are there.

use mobula_store::{Block, Loc, SegmentId};
use serde::de::DeserializeOwned;

use super::WireError;
use crate::{
    Error,
    ids::{ObjectId, WorkerId},
    message::Args,
    messagepack,
    shape::Shape,
    value::TypeTag,
};

/// The largest number of items for which a list gets room before they are read. The count in the
/// message is not trusted.
const FORESIGHT: usize = 64;

/// The number of bytes of an id.
const ID_BYTES: usize = 12;

/// The deepest nesting of an error as MessagePack. Each cause takes two levels, and an error has at
/// most 32 causes. The parts of a cause take some more levels. Some threads that decode have stacks
/// of 1 MiB, and this uses less than half of one.
const MAX_ERROR_DEPTH: u16 = 80;

/// The unread rest of a message.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// The message's length, for the positions in errors.
    len: usize,
}

impl<'a> Reader<'a> {
    /// Returns a reader at the first byte.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader {
            rest: bytes,
            len: bytes.len(),
        }
    }

    /// Returns the number of bytes that have been read.
    pub fn position(&self) -> usize {
        self.len - self.rest.len()
    }

    /// Checks that the message has no further bytes.
    pub fn end(self) -> Result<(), WireError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.malformed("the end of the message"))
        }
    }

    #[cold]
    /// Returns the error for `what` at the present position.
    pub fn malformed(&self, what: &'static str) -> WireError {
        WireError::Malformed {
            what,
            at: self.len - self.rest.len(),
        }
    }

    #[inline]
    /// Reads a byte.
    ///
    /// # Errors
    /// Fails if no byte is left.
    pub fn byte(&mut self, what: &'static str) -> Result<u8, WireError> {
        let Some((&byte, rest)) = self.rest.split_first() else {
            return Err(self.malformed(what));
        };
        self.rest = rest;
        Ok(byte)
    }

    /// Reads a number in its only form: it has no more bytes than it needs.
    #[inline]
    pub fn number(&mut self, what: &'static str) -> Result<u64, WireError> {
        // Nearly all numbers come here.
        if let Some((&byte, rest)) = self.rest.split_first()
            && byte < 0x80
        {
            self.rest = rest;
            return Ok(byte.into());
        }
        self.long_number(what)
    }

    fn long_number(&mut self, what: &'static str) -> Result<u64, WireError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
            let bits = u64::from(byte & 0x7f);
            let fits = shift < 63 || bits < 2;
            let needed = shift == 0 || byte != 0;
            if !(fits && needed) {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.malformed(what))
    }

    /// Reads a length and that many bytes, at most `N`, with others behind them. Returns `None` if
    /// the length is larger, if the message ends soon, or if it is malformed. Costs less than a
    /// copy of exactly that many bytes.
    #[inline]
    fn short<const N: usize>(&mut self) -> Option<([u8; N], usize)> {
        let (&len, rest) = self.rest.split_first()?;
        let bytes = rest.first_chunk()?;
        let len = usize::from(len);
        if len > N.min(0x7f) {
            return None;
        }
        self.rest = rest.get(len..)?;
        Some((*bytes, len))
    }

    #[inline]
    /// Reads a number of at most 32 bits.
    ///
    /// # Errors
    /// Fails like [`number`](Reader::number), or if the number does not fit.
    pub fn number32(&mut self, what: &'static str) -> Result<u32, WireError> {
        let number = self.number(what)?;
        u32::try_from(number).map_err(|_| self.malformed(what))
    }

    /// Reads a number in four bytes.
    #[inline]
    pub fn four(&mut self, what: &'static str) -> Result<u32, WireError> {
        let Some((bytes, rest)) = self.rest.split_first_chunk::<4>() else {
            return Err(self.malformed(what));
        };
        self.rest = rest;
        Ok(u32::from_le_bytes(*bytes))
    }

    /// Reads a number in eight bytes.
    #[inline]
    pub fn eight(&mut self, what: &'static str) -> Result<u64, WireError> {
        let Some((bytes, rest)) = self.rest.split_first_chunk::<8>() else {
            return Err(self.malformed(what));
        };
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    /// Reads a length and that many bytes.
    #[inline]
    pub fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], WireError> {
        let len = self.number(what)?;
        let split = usize::try_from(len)
            .ok()
            .and_then(|len| self.rest.split_at_checked(len));
        let Some((bytes, rest)) = split else {
            return Err(self.malformed(what));
        };
        self.rest = rest;
        Ok(bytes)
    }

    /// Reads a count and that many items, each of at least one byte.
    #[inline]
    pub fn list<T>(
        &mut self,
        what: &'static str,
        mut item: impl FnMut(&mut Reader<'a>) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let count = self.count(what)?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut items = Vec::with_capacity(count.min(FORESIGHT));
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Reads a list of arguments.
    pub fn args<T>(
        &mut self,
        mut arg: impl FnMut(&mut Reader<'a>) -> Result<T, WireError>,
    ) -> Result<Args<T>, WireError> {
        let count = self.count("arguments")?;
        if count == 0 {
            return Ok(Args::new());
        }
        let mut args = Args::with_capacity(count.min(FORESIGHT));
        for _ in 0..count {
            args.push(arg(self)?);
        }
        Ok(args)
    }

    /// Reads the number of items that follow, each of at least one byte.
    #[inline]
    fn count(&mut self, what: &'static str) -> Result<usize, WireError> {
        let count = self.number(what)?;
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() => Ok(count),
            _ => Err(self.malformed(what)),
        }
    }

    /// Reads a list of items that begin with an id. The received bytes limit the number of items.
    pub fn list_by_id<T>(
        &mut self,
        what: &'static str,
        mut item: impl FnMut(&mut Reader<'a>, ObjectId) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let count = self.number(what)?;
        if count > (self.rest.len() / ID_BYTES) as u64 {
            return Err(self.malformed(what));
        }
        let mut items = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let id = self.id()?;
            items.push(item(self, id)?);
        }
        Ok(items)
    }

    /// Reads the tag of a type.
    #[inline]
    pub fn tag(&mut self, what: &'static str) -> Result<TypeTag, WireError> {
        self.eight(what).map(TypeTag)
    }

    /// Reads the type of an array's elements, and the array's lengths.
    ///
    /// # Errors
    /// Fails if they are not there.
    #[inline]
    pub fn array(&mut self) -> Result<(TypeTag, Shape), WireError> {
        Ok((self.tag("an element type")?, self.shape()?))
    }

    /// Reads a length and the bytes of a value with this alignment.
    ///
    /// # Errors
    /// Fails if they are not there.
    #[inline]
    pub fn block(&mut self, what: &'static str, align: usize) -> Result<Block, WireError> {
        let short = match align {
            1 => self.short(),
            _ => None,
        };
        Ok(match short {
            Some((bytes, len)) => Block::from_small(bytes, len),
            None => Block::copy_of(self.bytes(what)?, align),
        })
    }

    /// Reads the lengths of an array.
    fn shape(&mut self) -> Result<Shape, WireError> {
        let before = self.rest;
        if self.number("a shape")? == 1 {
            return Ok(Shape::of_vec(self.number("a dimension")?));
        }
        self.rest = before;
        Ok(self
            .list("a shape", |reader| reader.number("a dimension"))?
            .into())
    }

    #[inline]
    /// Reads an id.
    ///
    /// # Errors
    /// Fails if there is no id.
    pub fn id(&mut self) -> Result<ObjectId, WireError> {
        Ok(ObjectId {
            origin: WorkerId(self.four("the origin of an id")?),
            seq: self.eight("an id")?,
        })
    }

    /// Reads a location.
    ///
    /// # Errors
    /// Fails if there is no location.
    pub fn loc(&mut self) -> Result<Loc, WireError> {
        Ok(Loc {
            segment: SegmentId(self.number32("a location's segment")?),
            offset: self.number("a location's offset")?,
            len: self.number("a location's length")?,
        })
    }

    /// Reads an error.
    ///
    /// # Errors
    /// Fails if there is no error, or if its causes are nested too deeply.
    pub fn error(&mut self) -> Result<Error, WireError> {
        self.packed("an error", MAX_ERROR_DEPTH)
    }

    /// Reads a value that travels as MessagePack, behind its length.
    ///
    /// # Errors
    /// Fails if there is no such value, if it nests deeper than `levels`, or if bytes follow it.
    pub fn packed<T: DeserializeOwned>(
        &mut self,
        what: &'static str,
        levels: u16,
    ) -> Result<T, WireError> {
        let bytes = self.bytes(what)?;
        messagepack::nested(bytes, levels).map_err(|_| self.malformed(what))
    }
}
