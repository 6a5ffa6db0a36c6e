//! The parts that messages are written from.

use mobula_store::{Block, Loc};

use super::WireError;
use crate::{
    Error,
    ids::{Attempt, ObjectId, TaskSlot},
};

/// Seven bits to a byte, lowest first; the eighth says that there is more.
#[inline]
pub fn number(out: &mut Vec<u8>, number: u64) {
    match number {
        // Nearly all of them.
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

/// A length and that many bytes.
#[inline]
pub fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The same for those of a block. A small one is copied in whole, since the length of that copy is
/// known.
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

/// Twelve bytes: an id's number is seldom small, since it says which place an object has and how
/// often that was used.
#[inline]
pub fn id(out: &mut Vec<u8>, id: ObjectId) {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&id.origin.0.to_le_bytes());
    bytes[4..].copy_from_slice(&id.seq.to_le_bytes());
    out.extend_from_slice(&bytes);
}

/// Which hand-over of a task: twelve bytes.
#[inline]
pub fn hand_over(out: &mut Vec<u8>, slot: TaskSlot, attempt: Attempt) {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&slot.0.to_le_bytes());
    bytes[4..].copy_from_slice(&attempt.0.to_le_bytes());
    out.extend_from_slice(&bytes);
}

/// A location.
pub fn loc(out: &mut Vec<u8>, loc: Loc) {
    number(out, u64::from(loc.segment.0));
    number(out, loc.offset);
    number(out, loc.len);
}

/// Errors are rare, and private to their type: they travel as MessagePack.
pub fn error(out: &mut Vec<u8>, error: &Error) -> Result<(), WireError> {
    let encoded = rmp_serde::to_vec(error).map_err(|why| WireError::Unencodable {
        why: format!("the error `{error}` has no encoding: {why}"),
    })?;
    bytes(out, &encoded);
    Ok(())
}
