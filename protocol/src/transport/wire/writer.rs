//! Writes the parts of messages.

use mobula_store::{Block, Loc};

use super::WireError;
use crate::{
    Error,
    ids::{Attempt, ObjectId, TaskSlot},
    messagepack,
    shape::Shape,
    value::TypeTag,
};

/// Writes a number with seven bits in each byte, the lowest first. The eighth bit says that more
/// follow.
#[inline]
pub fn number(out: &mut Vec<u8>, number: u64) {
    match number {
        // Nearly all numbers come here.
        0..0x80 => out.push(number as u8),
        _ => long_number(out, number),
    }
}

fn long_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes a length and that many bytes.
#[inline]
pub fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes the length and the bytes of a block. A small block is copied in whole, since the length
/// of that copy is constant.
#[inline]
pub fn block(out: &mut Vec<u8>, block: &Block) {
    const { assert!(Block::SMALL < 0x80) };
    let Some((all, len)) = block.as_small() else {
        return bytes(out, block.bytes());
    };
    out.push(len as u8);
    let end = out.len() + len;
    out.extend_from_slice(all);
    out.truncate(end);
}

/// Writes the tag of a type in eight bytes.
#[inline]
pub fn tag(out: &mut Vec<u8>, of: TypeTag) {
    out.extend_from_slice(&of.0.to_le_bytes());
}

/// Writes the type of an array's elements, and the array's lengths.
#[inline]
pub fn array(out: &mut Vec<u8>, elem: TypeTag, shape: &Shape) {
    tag(out, elem);
    number(out, shape.len() as u64);
    shape.iter().for_each(|len| number(out, *len));
}

/// Writes an id in twelve bytes. Its `seq` is seldom small, since in the driver it has an object's
/// place and the number of the place's uses.
#[inline]
pub fn id(out: &mut Vec<u8>, id: ObjectId) {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&id.origin.0.to_le_bytes());
    bytes[4..].copy_from_slice(&id.seq.to_le_bytes());
    out.extend_from_slice(&bytes);
}

/// Writes the slot and the attempt of a task in twelve bytes.
#[inline]
pub fn hand_over(out: &mut Vec<u8>, slot: TaskSlot, attempt: Attempt) {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&slot.0.to_le_bytes());
    bytes[4..].copy_from_slice(&attempt.0.to_le_bytes());
    out.extend_from_slice(&bytes);
}

/// Writes a location.
pub fn loc(out: &mut Vec<u8>, loc: Loc) {
    number(out, u64::from(loc.segment.0));
    number(out, loc.offset);
    number(out, loc.len);
}

/// Writes an error as MessagePack, since errors are rare, and private to their type.
pub fn error(out: &mut Vec<u8>, error: &Error) -> Result<(), WireError> {
    let encoded = messagepack::to_vec(error).map_err(|why| WireError::Unencodable {
        why: format!("the error `{error}` has no encoding: {why}"),
    })?;
    bytes(out, &encoded);
    Ok(())
}
