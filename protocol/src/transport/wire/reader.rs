//! The parts that messages are read from: every step checks that the bytes are there.

use mobula_store::{Loc, SegmentId};
use serde::de::DeserializeOwned;

use super::WireError;
use crate::{
    Error,
    ids::{ObjectId, WorkerId},
    message::Args,
    shape::Shape,
};

/// Room is made for so many items of a list before they are read, at most: what a list claims to
/// hold is not believed.
const FORESIGHT: usize = 64;

/// An id takes so many bytes.
const ID_BYTES: usize = 12;

/// How deep an error may nest as MessagePack: a level for each cause, of which an error has a few
/// tens at most, and a few for what is in one. Some threads that decode have stacks of 1 MiB, of
/// which this uses less than half.
const MAX_ERROR_DEPTH: usize = 72;

/// What is left of a message.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// The message's length, for positions in errors.
    len: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the first byte on.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader {
            rest: bytes,
            len: bytes.len(),
        }
    }

    /// How many bytes have been read.
    pub fn position(&self) -> usize {
        self.len - self.rest.len()
    }

    /// The message must be over.
    pub fn end(self) -> Result<(), WireError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.malformed("the end of the message"))
        }
    }

    #[cold]
    /// The error that `what` cannot look like this.
    pub fn malformed(&self, what: &'static str) -> WireError {
        WireError::Malformed {
            what,
            at: self.len - self.rest.len(),
        }
    }

    #[inline]
    /// # Errors
    /// No byte is left.
    pub fn byte(&mut self, what: &'static str) -> Result<u8, WireError> {
        let Some((&byte, rest)) = self.rest.split_first() else {
            return Err(self.malformed(what));
        };
        self.rest = rest;
        Ok(byte)
    }

    /// A number in its only form: no more bytes than it needs.
    #[inline]
    pub fn number(&mut self, what: &'static str) -> Result<u64, WireError> {
        // Nearly all of them.
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

    /// A length and that many bytes, not more than `N`, with others behind them; `None` where there
    /// are more, or the message ends soon, or not as it should. Cheaper than to copy just so many.
    #[inline]
    pub fn short<const N: usize>(&mut self) -> Option<([u8; N], usize)> {
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
    /// # Errors
    /// As for [`number`](Reader::number), or it does not fit.
    pub fn number32(&mut self, what: &'static str) -> Result<u32, WireError> {
        let number = self.number(what)?;
        u32::try_from(number).map_err(|_| self.malformed(what))
    }

    /// A number in four bytes.
    #[inline]
    pub fn four(&mut self, what: &'static str) -> Result<u32, WireError> {
        let Some((bytes, rest)) = self.rest.split_first_chunk::<4>() else {
            return Err(self.malformed(what));
        };
        self.rest = rest;
        Ok(u32::from_le_bytes(*bytes))
    }

    /// A number in eight bytes.
    #[inline]
    pub fn eight(&mut self, what: &'static str) -> Result<u64, WireError> {
        let Some((bytes, rest)) = self.rest.split_first_chunk::<8>() else {
            return Err(self.malformed(what));
        };
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    /// A length and that many bytes.
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

    /// A count and that many items, each of a byte at least.
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

    /// The same for arguments.
    pub fn args<T>(
        &mut self,
        mut arg: impl FnMut(&mut Reader<'a>) -> Result<T, WireError>,
    ) -> Result<Args<T>, WireError> {
        let count = self.count("arguments")?;
        let mut args = Args::with_capacity(count.min(FORESIGHT));
        for _ in 0..count {
            args.push(arg(self)?);
        }
        Ok(args)
    }

    /// How many items follow, each of a byte at least.
    fn count(&mut self, what: &'static str) -> Result<usize, WireError> {
        let count = self.number(what)?;
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() => Ok(count),
            _ => Err(self.malformed(what)),
        }
    }

    /// The same for items that begin with an id: what has arrived says how many there can be.
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

    /// The lengths of an array.
    pub fn shape(&mut self) -> Result<Shape, WireError> {
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
    /// # Errors
    /// There is no id.
    pub fn id(&mut self) -> Result<ObjectId, WireError> {
        Ok(ObjectId {
            origin: WorkerId(self.four("the origin of an id")?),
            seq: self.eight("an id")?,
        })
    }

    /// # Errors
    /// There is no location.
    pub fn loc(&mut self) -> Result<Loc, WireError> {
        Ok(Loc {
            segment: SegmentId(self.number32("a location's segment")?),
            offset: self.number("a location's offset")?,
            len: self.number("a location's length")?,
        })
    }

    /// # Errors
    /// There is no error, or its causes are nested too deeply.
    pub fn error(&mut self) -> Result<Error, WireError> {
        self.packed("an error", MAX_ERROR_DEPTH)
    }

    /// Reads a value that travels as MessagePack, behind its length.
    ///
    /// # Errors
    /// There is no such value, it nests deeper than `depth`, or bytes follow it.
    pub fn packed<T: DeserializeOwned>(
        &mut self,
        what: &'static str,
        depth: usize,
    ) -> Result<T, WireError> {
        let mut bytes = self.bytes(what)?;
        let mut decoder = rmp_serde::Deserializer::new(&mut bytes);
        decoder.set_max_depth(depth);
        let value = T::deserialize(&mut decoder);
        match value {
            Ok(value) if bytes.is_empty() => Ok(value),
            _ => Err(self.malformed(what)),
        }
    }
}
