//! Values whose type only those know who put them in and take them out.

use mobula_store::Array;
use mobula_worker::{Error, Format, Payload, Result, Side, TypeTag};
use serde::{Deserialize, Serialize};

use crate::{
    ObjectRef, Value,
    typed::{
        codecs::{decode_value, encode_value},
        place::Place,
    },
};

/// An encoded value. As a part of other values it travels like arrays do: large bytes lie in the
/// store, and are not copied.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Item {
    form: Form,
    bytes: Array<u8>,
    side: Vec<Beside>,
}

/// A [`Format`].
#[derive(Debug, Serialize, Deserialize)]
enum Form {
    Flat { elem: u64, shape: Vec<u64> },
    Text,
    Packed { of: u64 },
}

/// A [`Side`].
#[derive(Debug, Serialize, Deserialize)]
enum Beside {
    Array { form: Form, bytes: Array<u8> },
    Ref(ObjectRef<Unknown>),
}

/// Stands for the type of a ref that is inside of the value.
#[derive(Debug)]
struct Unknown;

impl Item {
    /// # Errors
    /// The value cannot be encoded, or the store is full.
    pub(crate) fn encode<T: Value>(value: &T, place: Place<'_>) -> Result<Item> {
        let payload = encode_value(value, place)?;
        let beside = |side| {
            Ok(match side {
                Side::Array(array) => Beside::Array {
                    form: Form::of(array.format)?,
                    bytes: Array::from_block(array.block)?,
                },
                Side::Ref(entry) => Beside::Ref(ObjectRef::from_entry(entry)),
            })
        };
        Ok(Item {
            form: Form::of(payload.format)?,
            bytes: Array::from_block(payload.block)?,
            side: payload
                .side
                .into_iter()
                .map(beside)
                .collect::<Result<_, Error>>()?,
        })
    }

    /// # Errors
    /// It is a value of another type, or damaged.
    pub(crate) fn decode<T: Value>(self) -> Result<T> {
        let side = |beside| match beside {
            Beside::Array { form, bytes } => Side::array(bytes.as_block().clone(), form.format()),
            Beside::Ref(object) => Side::Ref(object.into_entry()),
        };
        decode_value(Payload {
            format: self.form.format(),
            block: self.bytes.as_block().clone(),
            side: self.side.into_iter().map(side).collect(),
        })
    }
}

impl Form {
    /// # Errors
    /// It is none of an encoded value.
    fn of(format: Format) -> Result<Form> {
        Ok(match format {
            Format::Flat { elem, shape } => Form::Flat {
                elem: elem.0,
                shape: shape.to_vec(),
            },
            Format::Text => Form::Text,
            Format::Packed { of } => Form::Packed { of: of.0 },
            Format::Shared { .. } | Format::Part { .. } => {
                return Err(Error::internal("a value was encoded as shared memory"));
            }
        })
    }

    fn format(self) -> Format {
        match self {
            Form::Flat { elem, shape } => Format::Flat {
                elem: TypeTag(elem),
                shape: shape.into(),
            },
            Form::Text => Format::Text,
            Form::Packed { of } => Format::Packed { of: TypeTag(of) },
        }
    }
}
