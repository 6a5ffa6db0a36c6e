//! The parts that messages are written from.

use mobula_store::Loc;

use super::WireError;
use crate::{Error, ids::ObjectId};

/// Seven bits to a byte, lowest first; the eighth says that there is more.
pub(super) fn number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A length and that many bytes.
pub(super) fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(super) fn id(out: &mut Vec<u8>, id: ObjectId) {
    number(out, u64::from(id.origin.0));
    number(out, id.seq);
}

pub(super) fn loc(out: &mut Vec<u8>, loc: Loc) {
    number(out, u64::from(loc.segment.0));
    number(out, loc.offset);
    number(out, loc.len);
}

/// Errors are rare, and private to their type: they travel as MessagePack.
pub(super) fn error(out: &mut Vec<u8>, error: &Error) -> Result<(), WireError> {
    let encoded = rmp_serde::to_vec(error).map_err(|why| WireError::Unencodable {
        why: format!("the error `{error}` has no encoding: {why}"),
    })?;
    bytes(out, &encoded);
    Ok(())
}
