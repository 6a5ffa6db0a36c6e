//! Messages between a process of this program and a peer in another language, over a stream.
//!
//! The peer is the driver of the process. It tells the process which tasks to run, and answers the
//! requests of the tasks. It passes values on as bytes, with lists of the objects that they refer
//! to ([`PeerValue`]).
//!
//! A frame is the length of its body and the body. The length is four bytes in little-endian order.
//! The body is MessagePack: a map of one message's name to its fields in order. The first field of
//! each side's first message is [`VERSION`].
//!
//! Decoding trusts no byte. It never panics, and it refuses a frame of more than [`MOST`] bytes.
//! The fuzz target is `fuzz/fuzz_targets/frames.rs`.

mod from_peer;
mod outcome;
mod python;
pub mod stream;
mod to_peer;
mod value;

#[cfg(all(test, not(loom)))]
mod tests;

use serde::{Deserialize, Serialize};

pub use from_peer::{FromPeer, TaskFrame};
pub use outcome::{PeerFunction, PeerOutcome};
pub use python::{PythonForm, PythonFrame};
pub use to_peer::{PeerActorOptions, PeerOptions, ToPeer};
pub use value::{Bytes, Extent, PeerArg, PeerValue, Place, Reference};

use crate::{
    Error, Result,
    ids::{ObjectId, WorkerId},
    messagepack,
};

/// The version of the frames. Every change of the frames changes it.
pub const VERSION: u32 = 3;

/// The most bytes that a frame's body may have. Large values do not travel in frames.
pub const MOST: usize = 256 << 20;

/// The bytes of the length before a body.
pub const HEADER: usize = 4;

/// The id of an object in frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerId(pub u64);

/// The lower bits of a [`PeerId`], which have the sequence number of the id. The others have its
/// origin.
const COUNT_BITS: u32 = 40;

/// The program that started the runtime. Processes that run calls have numbers from 16 on.
pub const OWN: WorkerId = WorkerId(1);

/// The peer.
pub const PEER: WorkerId = WorkerId(2);

/// The origin of ids that stand for results of runs.
const RUNS: WorkerId = WorkerId(3);

impl PeerId {
    /// Returns the id that stands for the result of a run. Only the peer knows the result's object.
    pub fn run(run: u64) -> PeerId {
        PeerId::from(ObjectId {
            origin: RUNS,
            seq: run,
        })
    }
}

impl From<ObjectId> for PeerId {
    fn from(id: ObjectId) -> PeerId {
        PeerId((u64::from(id.origin.0) << COUNT_BITS) | id.seq)
    }
}

impl From<PeerId> for ObjectId {
    fn from(id: PeerId) -> ObjectId {
        ObjectId {
            origin: WorkerId((id.0 >> COUNT_BITS) as u32),
            seq: id.0 & ((1 << COUNT_BITS) - 1),
        }
    }
}

/// A message of one side.
pub trait Message: Sized {
    /// Returns the message as a whole frame.
    ///
    /// # Errors
    /// The body is longer than [`MOST`] bytes (`is_codec`).
    fn encode(&self) -> Result<Vec<u8>>;

    /// Reads a message, which must take up the whole body.
    ///
    /// # Errors
    /// The body is no such message.
    fn decode(body: &[u8]) -> Result<Self>;
}

macro_rules! messages {
    ($($message:ty)*) => {
        $(impl Message for $message {
            fn encode(&self) -> Result<Vec<u8>> {
                encode(self)
            }

            fn decode(body: &[u8]) -> Result<Self> {
                messagepack::from_slice(body).map_err(malformed)
            }
        })*
    };
}

messages! { FromPeer ToPeer }

fn encode(message: &impl Serialize) -> Result<Vec<u8>> {
    let mut frame = vec![0; HEADER];
    messagepack::write(&mut frame, message)
        .map_err(|error| Error::codec(format!("a frame cannot be encoded: {error}")))?;
    let length = frame.len() - HEADER;
    match u32::try_from(length) {
        Ok(header) if length <= MOST => {
            frame[..HEADER].copy_from_slice(&header.to_le_bytes());
            Ok(frame)
        }
        _ => Err(Error::codec(format!(
            "a message of {length} bytes is more than the {MOST} that a frame may have; put what is large \
             into the object store, and pass the ref"
        ))),
    }
}

/// Returns the length of the body that a header announces.
///
/// # Errors
/// The body is longer than [`MOST`] bytes.
pub fn length(header: [u8; HEADER]) -> Result<usize> {
    let length = u32::from_le_bytes(header) as usize;
    match length <= MOST {
        true => Ok(length),
        false => Err(malformed(format!("a frame of {length} bytes"))),
    }
}

fn malformed(why: impl std::fmt::Display) -> Error {
    Error::codec(format!("a frame is malformed: {why}"))
}
