//! The bytes of messages: a compact binary encoding. It is written by hand, because every task
//! passes through it twice.
//!
//! Numbers are little-endian base-128, with one byte for a small number. Ids, slots, attempts and
//! type tags have a fixed size. Enums begin with a byte. The format has no version, since driver
//! and workers are one program.
//!
//! A message has one form: a message that was read is written as the same bytes. Only values that
//! travel as MessagePack may have several forms: errors, and the options of calls, actors and
//! cancellations.
//!
//! The decoder trusts no bytes. It never panics, and it allocates in proportion to the received
//! bytes, not to the counts in them.

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

/// The reason for which bytes are no message, or a message has no bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The bytes are not a message. They come from a process or a program that has gone wrong.
    Malformed {
        /// The part that was being read.
        what: &'static str,
        /// The position of the byte at which the reader failed.
        at: usize,
    },
    /// The message violates a rule of messages and was not sent. This is a bug in Mobula.
    Unencodable {
        /// The rule.
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

/// A stack size in bytes that suffices to decode any message, also in builds without optimisation.
/// The deepest message is an error with all its causes.
pub const STACK: usize = 1 << 20;
