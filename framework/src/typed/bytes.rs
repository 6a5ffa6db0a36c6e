//! Turns values into payloads and back. There are four forms: plain elements, text, packed values,
//! and packed values that are nothing but one array.

use std::any::type_name;

use mobula_protocol::{
    ArrayAttachment, Attachment, Error, Format, ObjectHandle, Payload, Result, Shape, TypeTag,
};
use mobula_store::{
    Array, Block, Plain,
    codec::{self, ArrayHandle, Encoded, Handle, HandleKind, serialize_handle, type_tag},
};
use serde::{Serialize, Serializer, de::DeserializeOwned};

use super::{
    mismatch::{mismatch, mismatch_with},
    place::Place,
};

/// The alignment of elements in bytes: a cache line, so that vectorised code has aligned data.
const LINE: usize = 64;

/// The largest alignment that the store supports, in bytes: a page.
const MAX_ALIGN: usize = 4096;

/// Returns the tag of `T` in formats.
pub(crate) fn tag<T: 'static>() -> TypeTag {
    TypeTag(type_tag::<T>())
}

/// Returns whether elements of this type can be stored one after the other.
pub(crate) const fn has_size<E>() -> bool {
    size_of::<E>() != 0
}

/// Returns a payload with a copy of plain elements.
///
/// # Errors
/// The store is full.
pub(crate) fn flat<E: Plain>(elements: &[E], shape: &[usize], place: Place<'_>) -> Result<Payload> {
    let align = align_of::<E>().max(LINE);
    let block = place.copy(bytemuck::cast_slice(elements), align)?;
    Ok(flat_block::<E>(block, shape))
}

/// Returns a payload of plain elements that are in a block already.
pub(crate) fn flat_block<E: Plain>(block: Block, shape: &[usize]) -> Payload {
    flat_block_of(tag::<E>(), block, shape)
}

fn flat_block_of(elem: TypeTag, block: Block, shape: &[usize]) -> Payload {
    let shape = match shape {
        [len] => Shape::of_vec(*len as u64),
        shape => shape.iter().map(|&len| len as u64).collect(),
    };
    Payload {
        format: Format::Flat { elem, shape },
        block,
        attachments: Vec::new(),
    }
}

/// Returns a payload of an array, without a copy.
pub(crate) fn flat_array<E: Plain>(array: &Array<E>) -> Payload {
    flat_block::<E>(array.as_block().clone(), &[array.len()])
}

/// Returns the plain elements of a payload, in place, with their shape. `T` is the wanted type in
/// error messages.
///
/// # Errors
/// The payload has another format, or the bytes are no such elements.
#[cfg(any(feature = "ndarray-0_16", feature = "ndarray-0_17"))]
pub(crate) fn read_flat<T: ?Sized, E: Plain>(payload: Payload) -> Result<(Array<E>, Shape)> {
    let wanted = Wanted::of::<T, E>();
    let shape = wanted.find(&payload)?.clone();
    Ok((wanted.elements(payload)?, shape))
}

/// Reads elements as [`read_flat`] does, for one dimension.
///
/// # Errors
/// The errors of [`read_flat`], or there are more dimensions.
pub(crate) fn read_flat_1<T: ?Sized, E: Plain>(payload: Payload) -> Result<Array<E>> {
    let wanted = Wanted::of::<T, E>();
    wanted.find_1(&payload)?;
    wanted.elements(payload)
}

/// The wanted elements of a payload. Most functions here are not generic, since the table of types
/// has callers for more than a hundred types.
#[derive(Clone, Copy)]
struct Wanted {
    /// The name of the wanted type in the message.
    name: &'static str,
    elem: TypeTag,
    size: usize,
    align: usize,
}

impl Wanted {
    fn of<T: ?Sized, E: Plain>() -> Wanted {
        Wanted {
            name: type_name::<T>(),
            elem: tag::<E>(),
            size: size_of::<E>(),
            align: align_of::<E>(),
        }
    }

    /// Returns the shape. Borrows the payload, since moving it twice would cost more than the
    /// check.
    fn find(self, payload: &Payload) -> Result<&Shape> {
        let Format::Flat { elem, shape } = &payload.format else {
            return Err(mismatch_with(self.name, &payload.format));
        };
        let count = shape
            .iter()
            .try_fold(1_u64, |count, &len| count.checked_mul(len));
        let bytes = count.and_then(|count| count.checked_mul(self.size as u64));
        if *elem != self.elem || bytes != Some(payload.block.len() as u64) {
            return Err(mismatch_with(self.name, &payload.format));
        }
        Ok(shape)
    }

    fn find_1(self, payload: &Payload) -> Result<()> {
        match self.find(payload)?.len() {
            1 => Ok(()),
            _ => Err(mismatch_with(self.name, &payload.format)),
        }
    }

    /// Returns the elements. Not generic over the wanted type, so that a program has one copy of
    /// the code for each element type.
    fn elements<E: Plain>(self, payload: Payload) -> Result<Array<E>> {
        let Payload { block, .. } = payload;
        // Blocks are aligned to 64 bytes. The block is copied if the type needs a larger alignment
        // that the bytes do not have.
        let aligned = (block.bytes().as_ptr() as usize).is_multiple_of(self.align);
        let block = match aligned {
            true => block,
            false => Block::copy_of(block.bytes(), self.align),
        };
        Ok(Array::from_block(block)?)
    }
}

/// Returns a payload with a copy of a text.
///
/// # Errors
/// The store is full.
pub(crate) fn text(text: &str, place: Place<'_>) -> Result<Payload> {
    Ok(Payload {
        format: Format::Text,
        block: place.copy(text.as_bytes(), 1)?,
        attachments: Vec::new(),
    })
}

/// Returns the block of a text. A text that another program has written is packed, and is copied.
///
/// # Errors
/// The payload is no text.
pub(crate) fn read_text<T: ?Sized>(payload: Payload) -> Result<Block> {
    match payload {
        Payload {
            format: Format::Text,
            block,
            ..
        } => Ok(block),
        Payload {
            format: Format::Packed { of },
            ..
        } if of == tag::<String>() => {
            let text: String = unpack(payload, |_| true)?;
            Ok(Block::copy_of(text.as_bytes(), 1))
        }
        payload => Err(mismatch::<T>(&payload.format)),
    }
}

/// Returns the text in a block.
///
/// # Errors
/// The bytes are not UTF-8.
pub(crate) fn as_text(block: &Block) -> Result<&str> {
    std::str::from_utf8(block.bytes())
        .map_err(|error| Error::codec(format!("a stored text is not UTF-8: {error}")))
}

/// Returns the payload of a value that serde writes. `of` is the type that will read it.
///
/// A value that serde writes as one array and nothing else becomes that array. So an `Array` of any
/// elements is a flat object, and a value that holds only an `Array` is not copied.
///
/// # Errors
/// The type's `Serialize` fails, or the store is full.
pub(crate) fn pack<T: Serialize + ?Sized>(
    value: &T,
    of: TypeTag,
    place: Place<'_>,
) -> Result<Payload> {
    codec::encode_with(value, |bytes, items| packed(bytes, items, of, place))?
}

/// Returns the payload of an encoded value.
fn packed(bytes: &[u8], items: Vec<Handle>, of: TypeTag, place: Place<'_>) -> Result<Payload> {
    if let [Handle::Array(array)] = items.as_slice()
        && bytes == &one_array(&array.block, array.elem, array.len)?.bytes[..]
    {
        let format = Format::Flat {
            elem: TypeTag(array.elem),
            shape: Shape::of_vec(array.len),
        };
        return Ok(Payload {
            format,
            block: array.block.clone(),
            attachments: Vec::new(),
        });
    }
    let attachments = match items.is_empty() {
        true => Vec::new(),
        false => items
            .into_iter()
            .map(to_attachment)
            .collect::<Result<_>>()?,
    };
    Ok(Payload {
        format: Format::Packed { of },
        block: place.copy(bytes, 1)?,
        attachments,
    })
}

/// Decodes a value that [`pack`] wrote for one of the types in `of`.
///
/// # Errors
/// The payload is of another type, or its bytes are damaged.
pub(crate) fn unpack<T: DeserializeOwned + 'static>(
    payload: Payload,
    of: impl FnOnce(TypeTag) -> bool,
) -> Result<T> {
    let is_one = matches!(&payload.format, Format::Packed { of: found } if of(*found));
    unpack_one(payload, is_one)
}

/// Decodes a payload. `is_one` says that a value of this type was packed.
fn unpack_one<T: DeserializeOwned + 'static>(payload: Payload, is_one: bool) -> Result<T> {
    if is_one {
        let items = to_handles(payload.attachments)?;
        let bytes = payload.block.bytes();
        return Ok(codec::decode_with(bytes, items.into_iter())?);
    }
    // The elements may need a larger alignment than blocks have.
    for align in [None, Some(MAX_ALIGN)] {
        if let Some(Encoded { bytes, items }) = array_of(&payload, align)
            && let Ok(value) = codec::decode_with(&bytes, items.into_iter())
        {
            return Ok(value);
        }
    }
    Err(mismatch::<T>(&payload.format))
}

/// Returns the codec's encoding of a value that is the array of a payload. With `align`, the
/// elements are copied to such a place. Returns `None` if the payload is no array of one dimension.
fn array_of(payload: &Payload, align: Option<usize>) -> Option<Encoded> {
    let Format::Flat { elem, shape } = &payload.format else {
        return None;
    };
    let [len] = **shape else { return None };
    let block = match align {
        None => payload.block.clone(),
        Some(align) => Block::copy_of(payload.block.bytes(), align),
    };
    one_array(&block, elem.0, len).ok()
}

/// Returns the codec's encoding of a value that is one array.
fn one_array(block: &Block, elem: u64, len: u64) -> Result<Encoded> {
    struct OneArray(Handle, u64);
    impl Serialize for OneArray {
        fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
            serialize_handle(serializer, HandleKind::Array, self.1, self.0.clone())
        }
    }
    Ok(codec::encode(&OneArray(
        Handle::array(block.clone(), elem, len),
        elem,
    ))?)
}

fn to_handles(attachments: Vec<Attachment>) -> Result<Vec<Handle>> {
    attachments.into_iter().map(to_handle).collect()
}

fn to_attachment(handle: Handle) -> Result<Attachment> {
    match handle {
        Handle::Array(array) => {
            let ArrayHandle { block, elem, len } = *array;
            let format = Format::Flat {
                elem: TypeTag(elem),
                shape: Shape::of_vec(len),
            };
            Ok(Attachment::array(block, format))
        }
        Handle::Ref(entry) => match entry.downcast::<ObjectHandle>() {
            Ok(entry) => Ok(Attachment::Ref(entry)),
            Err(_) => Err(Error::internal("a ref that is not one of this engine's")),
        },
    }
}

fn to_handle(attachment: Attachment) -> Result<Handle> {
    let ArrayAttachment { block, format } = match attachment {
        Attachment::Array(array) => *array,
        Attachment::Ref(entry) => return Ok(Handle::Ref(entry as _)),
    };
    let Format::Flat { elem, shape } = format else {
        return Err(Error::codec(format!(
            "an array that is stored as {format:?}"
        )));
    };
    let len = shape
        .iter()
        .try_fold(1_u64, |count, &len| count.checked_mul(len));
    let len = len.ok_or_else(|| Error::codec("an array with an impossible shape"))?;
    Ok(Handle::array(block, elem.0, len))
}
