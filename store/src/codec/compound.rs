//! Writes collections, tuples and structs.

use serde::{
    Serialize,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant, Serializer as _,
    },
};

use super::{
    bytes::{ByteProbe, is_byte},
    encoder::Encoder,
    error::Fault,
    format::{ext, ext_head},
};

/// The markers of an array and of a map whose length takes four bytes.
const ARRAY_32: u8 = 0xdd;
const MAP_32: u8 = 0xdf;

/// Writes the elements of one collection and counts them.
pub(super) struct Compound<'a> {
    encoder: &'a mut Encoder,
    /// The position where the collection begins.
    start: usize,
    /// The number of elements that were announced. Keys and values count one each.
    len: usize,
    /// The number of elements that have come.
    count: usize,
    /// The number of levels to leave at the end.
    levels: u16,
    form: Form,
}

/// The form of the collection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The head is written.
    Plain,
    /// The head waits for the first element, which shows whether the elements are bytes.
    Undecided,
    /// The head of packed bytes is written, and all elements so far are bytes.
    Bytes,
    /// The length was not announced. There is room for the longest head.
    Open { map: bool },
}

impl<'a> Compound<'a> {
    /// Returns whether this number of bytes is packed. Fewer bytes take no more room on average as
    /// elements.
    pub(super) fn packs(len: usize) -> bool {
        len >= 4
    }

    #[inline]
    pub(super) fn sequence(encoder: &'a mut Encoder, len: Option<usize>) -> Result<Self, Fault> {
        let Some(len) = len else {
            return Compound::open(encoder, false);
        };
        if Compound::packs(len) {
            return Compound::new(encoder, len, 1, Form::Undecided);
        }
        encoder.array_head(len)?;
        Compound::new(encoder, len, 1, Form::Plain)
    }

    /// Begins a sequence that belongs to a named type, with its head inside the bytes before.
    #[inline]
    pub(super) fn tuple(encoder: &'a mut Encoder, len: usize, levels: u16) -> Result<Self, Fault> {
        encoder.array_head(len)?;
        Compound::new(encoder, len, levels, Form::Plain)
    }

    #[inline]
    pub(super) fn map(encoder: &'a mut Encoder, len: Option<usize>) -> Result<Self, Fault> {
        let Some(len) = len else {
            return Compound::open(encoder, true);
        };
        encoder.map_head(len)?;
        Compound::new(encoder, 2 * len, 1, Form::Plain)
    }

    #[inline]
    pub(super) fn structure(
        encoder: &'a mut Encoder,
        len: usize,
        levels: u16,
    ) -> Result<Self, Fault> {
        encoder.map_head(len)?;
        Compound::new(encoder, len, levels, Form::Plain)
    }

    fn open(encoder: &'a mut Encoder, map: bool) -> Result<Self, Fault> {
        let start = encoder.position();
        let marker = if map { MAP_32 } else { ARRAY_32 };
        encoder.buffer().extend_from_slice(&[marker, 0, 0, 0, 0]);
        Ok(Compound {
            start,
            ..Compound::new(encoder, usize::MAX, 1, Form::Open { map })?
        })
    }

    #[inline]
    fn new(encoder: &'a mut Encoder, len: usize, levels: u16, form: Form) -> Result<Self, Fault> {
        encoder.enter(levels)?;
        let start = encoder.position();
        Ok(Compound {
            encoder,
            start,
            len,
            count: 0,
            levels,
            form,
        })
    }

    /// Writes an element that is known not to be one of many bytes.
    #[inline]
    fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        self.step()?;
        let result = value.serialize(&mut *self.encoder);
        if result.is_err() {
            self.encoder.fail();
        }
        result
    }

    #[inline]
    fn put_named<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Fault> {
        (&mut *self.encoder).serialize_str(key)?;
        self.put(value)
    }

    /// Writes an element of a sequence.
    #[inline]
    fn put_any<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        if matches!(self.form, Form::Undecided | Form::Bytes) && self.put_byte(value)? {
            return Ok(());
        }
        self.put(value)
    }

    /// Writes the element if it is a byte like all before it, and returns whether it did. Otherwise
    /// the sequence becomes a plain one.
    fn put_byte<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<bool, Fault> {
        let byte = is_byte::<T>();
        match (self.form, byte) {
            (Form::Undecided, true) => {
                self.encoder.bytes_head(ext::BYTES, self.len)?;
                self.form = Form::Bytes;
            }
            (Form::Undecided, false) => {
                self.encoder.array_head(self.len)?;
                self.form = Form::Plain;
            }
            (Form::Bytes, false) => self.unpack()?,
            _ => {}
        }
        if byte {
            self.step()?;
            let byte = value.serialize(ByteProbe).map_err(|error| {
                self.encoder.fail();
                Fault::new(error)
            })?;
            self.encoder.buffer().push(byte);
        }
        Ok(byte)
    }

    /// Writes the bytes as elements, for a tuple that began with bytes and goes on with another
    /// type.
    fn unpack(&mut self) -> Result<(), Fault> {
        let written = self.encoder.buffer().split_off(self.start);
        let (_, head) = ext_head(ext::BYTES, self.len as u32);
        self.encoder.array_head(self.len)?;
        for byte in &written[head..] {
            byte.serialize(&mut *self.encoder)?;
        }
        self.form = Form::Plain;
        Ok(())
    }

    #[inline]
    fn step(&mut self) -> Result<(), Fault> {
        if self.count == self.len {
            return Err(self.wrong_length("more"));
        }
        self.count += 1;
        Ok(())
    }

    #[inline]
    fn finish(mut self) -> Result<(), Fault> {
        if let Form::Open { map } = self.form {
            self.patch(if map { self.count / 2 } else { self.count })?;
        } else if self.count != self.len {
            return Err(self.wrong_length("fewer"));
        }
        self.encoder.leave(self.levels);
        Ok(())
    }

    fn patch(&mut self, len: usize) -> Result<(), Fault> {
        let len = u32::try_from(len)
            .map_err(|_| Fault::new(format_args!("a collection has {len} elements: too many")))?;
        self.encoder.buffer()[self.start + 1..self.start + 5].copy_from_slice(&len.to_be_bytes());
        Ok(())
    }

    #[cold]
    fn wrong_length(&mut self, than: &str) -> Fault {
        self.encoder.fail();
        Fault::new(format_args!(
            "its `Serialize` announced a collection of {} parts and wrote {than}",
            self.len
        ))
    }
}

macro_rules! elements {
    ($($of:ident: $method:ident, $put:ident;)*) => {
        $(impl $of for Compound<'_> {
            type Ok = ();
            type Error = Fault;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
                self.$put(value)
            }

            #[inline]
            fn end(self) -> Result<(), Fault> {
                self.finish()
            }
        })*
    };
}

elements! {
    SerializeSeq: serialize_element, put_any;
    SerializeTuple: serialize_element, put_any;
    SerializeTupleStruct: serialize_field, put;
    SerializeTupleVariant: serialize_field, put;
}

macro_rules! fields {
    ($($of:ident;)*) => {
        $(impl $of for Compound<'_> {
            type Ok = ();
            type Error = Fault;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Fault> {
                self.put_named(key, value)
            }

            #[inline]
            fn end(self) -> Result<(), Fault> {
                self.finish()
            }
        })*
    };
}

fields! {
    SerializeStruct;
    SerializeStructVariant;
}

impl SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Fault;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Fault> {
        self.put(key)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        self.put(value)
    }

    #[inline]
    fn end(self) -> Result<(), Fault> {
        self.finish()
    }
}
