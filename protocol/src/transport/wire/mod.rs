//! The bytes of messages: a compact binary encoding, written by hand because every task passes
//! through it twice.
//!
//! Numbers are little-endian base-128 (a byte each while small); ids, slots, attempts and type tags
//! have a fixed size; enums begin with a byte. The format carries no version: driver and workers
//! are one program.
//!
//! A message has one form: what is read is written as the same bytes. Only what travels as
//! MessagePack (errors, the options of calls, actors and cancellations) may be read in several.
//!
//! Decoding trusts nothing. It never panics, and it allocates in proportion to the bytes that have
//! arrived, whatever counts they claim.

mod arguments;
mod fields;
mod from_worker;
mod reader;
mod to_worker;
mod value;
pub mod writer;

#[cfg(all(test, not(loom)))]
mod tests;

use std::{error, fmt};

pub use from_worker::{decode_from_worker, encode_from_worker};
pub use reader::Reader;
pub use to_worker::{decode_to_worker, encode_task, encode_to_worker};
pub use value::{decode_value, encode_value};

/// Why bytes are no message, or a message has no bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The bytes are not a message. They come from a process or a program that has gone wrong.
    Malformed {
        /// What was being read.
        what: &'static str,
        /// The position of the byte where that failed.
        at: usize,
    },
    /// The message contradicts its own rules and was not sent. A mistake in Mobula.
    Unencodable {
        /// Which rule.
        why: String,
    },
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Malformed { what, at } => {
                write!(f, "a message is malformed at byte {at}, in {what}")
            }
            WireError::Unencodable { why } => write!(f, "a message cannot be encoded: {why}"),
        }
    }
}

impl error::Error for WireError {}

/// Bytes of stack that suffice to decode any message: an error comes with all its causes, in builds
/// without optimisation too.
pub const STACK: usize = 1 << 20;
