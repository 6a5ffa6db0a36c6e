//! Values inside of a batch: a byte with the kind of the value, and the value's data.

use mobula_store::Block;

use mobula_protocol::{
    Format, Payload, TypeTag,
    wire::{Reader, WireError, writer},
};

/// A packed value whose type is that of the last value in this place.
pub(super) const SAME: u8 = 0;
/// A packed value; its type follows.
pub(super) const PACKED: u8 = 1;
pub(super) const TEXT: u8 = 2;
pub(super) const FLAT: u8 = 3;
/// One of the batch's objects.
pub(super) const OBJECT: u8 = 4;
/// Several of the batch's objects, for one parameter.
pub(super) const GATHER: u8 = 5;
/// A packed value that refers to things beside the batch. Its type and the number of things follow.
pub(super) const WITH_ATTACHMENTS: u8 = 6;
/// An array beside the batch.
pub(super) const ARRAY: u8 = 7;
pub(super) const ERROR: u8 = 8;

/// The types that were last seen in each place. Mostly all calls of one function have the types in
/// common.
#[derive(Debug, Default)]
pub(super) struct Last(Vec<Option<TypeTag>>);

impl Last {
    #[inline]
    pub(super) fn at(&mut self, place: usize) -> &mut Option<TypeTag> {
        if self.0.len() <= place {
            self.0.resize(place + 1, None);
        }
        &mut self.0[place]
    }
}

/// Writes a value that refers to nothing.
#[inline]
pub(super) fn write(out: &mut Vec<u8>, last: &mut Option<TypeTag>, format: &Format, block: &Block) {
    match format {
        Format::Packed { of } if *last == Some(*of) => out.push(SAME),
        Format::Packed { of } => {
            out.push(PACKED);
            writer::tag(out, *of);
            *last = Some(*of);
        }
        Format::Text => out.push(TEXT),
        Format::Flat { elem, shape } => {
            out.push(FLAT);
            writer::array(out, *elem, shape);
        }
        // No value that a function takes or returns has this format, but only things to which a
        // value refers.
        Format::Shared { of, .. } | Format::Part { of, .. } => {
            out.push(PACKED);
            writer::tag(out, *of);
            *last = Some(*of);
        }
    }
    writer::block(out, block);
}

/// Reads the next value if it is a packed value of this type. Returns its bytes.
#[inline]
pub(super) fn read_packed<'a>(
    reader: &mut Reader<'a>,
    of: TypeTag,
    last: Option<TypeTag>,
) -> Option<&'a [u8]> {
    let is_next = last == Some(of) && reader.byte("a value") == Ok(SAME);
    is_next.then(|| reader.bytes("a value").ok()).flatten()
}

/// Reads what [`write`] wrote. Returns `None` for a `kind` that `write` does not write.
#[inline]
pub(super) fn read(
    reader: &mut Reader<'_>,
    kind: u8,
    last: &mut Option<TypeTag>,
) -> Result<Option<Payload>, WireError> {
    let format = match kind {
        SAME => match *last {
            Some(of) => Format::Packed { of },
            None => return Err(reader.malformed("the type of the last value in this place")),
        },
        PACKED => {
            let of = reader.tag("a type")?;
            *last = Some(of);
            Format::Packed { of }
        }
        TEXT => Format::Text,
        FLAT => {
            let (elem, shape) = reader.array()?;
            Format::Flat { elem, shape }
        }
        _ => return Ok(None),
    };
    let block = reader.block("a value", format.align())?;
    Ok(Some(Payload {
        format,
        block,
        attachments: Vec::new(),
    }))
}
