//! A worker's mailbox: the memory that it shares with the driver, and its two typed ends.
//!
//! The memory holds the doorbells of the two lanes to the worker, a header, the state words of
//! queued tasks, and three rings. The rings are the task lane and the control lane to the worker,
//! and the out lane to the driver. A worker maps its own mailbox and no other.

mod driver;
mod panicked;
mod printed;
mod state;
mod worker;

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;

use std::{error, fmt, sync::atomic::Ordering};

use mobula_store::SharedWords;

use crate::{
    doorbell::Doorbell,
    primitive::{Memory, Region, Word},
    ring::{Ring, RingError, ring_words},
    wire::WireError,
};

use panicked::{PANICKED_WORDS, Panicked};
use printed::{PRINTED_WORDS, Printed};
use state::State;

pub use driver::{DriverEnd, LaneWriter, OutReader};
pub use panicked::{DriverPanicked, WorkerPanicked};
pub use printed::{DriverPrinted, Stream, WorkerPrinted};
pub use state::{DriverState, TASK_SLOTS, WorkerState};
pub use worker::{LaneReader, OutWriter, WorkerEnd};

/// The capacity of the task lane, in words: 256 KiB.
const TASK_WORDS: usize = 256 * 1024 / 8;
/// The capacity of the control lane, in words: 64 KiB.
const CONTROL_WORDS: usize = 64 * 1024 / 8;
/// The capacity of the out lane, in words: 256 KiB.
const OUT_WORDS: usize = 256 * 1024 / 8;

/// The distance in words of variables of different writers, like in the ring.
const LINE: usize = 16;

// Futexes.
const TASK_DOORBELL_AT: usize = 0;
const CONTROL_DOORBELL_AT: usize = 2 * LINE;

// Words.
const MAGIC_AT: usize = 0;
const LAYOUT_AT: usize = 1;
const CURRENT_AT: usize = LINE;
const PRINTED_AT: usize = 2 * LINE;
const PANICKED_AT: usize = 3 * LINE;
const SLOTS_AT: usize = PANICKED_AT + PANICKED_WORDS.next_multiple_of(LINE);
const _: () = assert!(PRINTED_WORDS <= LINE);
const TASK_AT: usize = SLOTS_AT + TASK_SLOTS;
const CONTROL_AT: usize = TASK_AT + ring_words(TASK_WORDS);
const OUT_AT: usize = CONTROL_AT + ring_words(CONTROL_WORDS);
const END: usize = OUT_AT + ring_words(OUT_WORDS);

/// "mobulaMB", which tells a mailbox from another file.
const MAGIC: u64 = u64::from_be_bytes(*b"mobulaMB");
/// The version of the layout and of the messages.
const VERSION: u64 = 1;
/// The version and the length. Both ends are the same program, so they differ only by accident.
const LAYOUT: u64 = VERSION << 32 | END as u64;

/// Returns the length of a mailbox in bytes.
pub const fn bytes() -> usize {
    SharedWords::NARROW_BYTES + END * 8
}

/// The reason for which a lane cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportError {
    /// The ring under it is corrupt, or a message is too long for it.
    Ring(RingError),
    /// A message cannot be encoded, or the received bytes are no message.
    Wire(WireError),
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TransportError::Ring(error) => error.fmt(f),
            TransportError::Wire(error) => error.fmt(f),
        }
    }
}

impl error::Error for TransportError {}

impl From<RingError> for TransportError {
    fn from(error: RingError) -> TransportError {
        TransportError::Ring(error)
    }
}

impl From<WireError> for TransportError {
    fn from(error: WireError) -> TransportError {
        TransportError::Wire(error)
    }
}

/// The reason for which memory is no mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailboxError {
    /// The mapping is too short.
    TooShort {
        /// Its length in bytes.
        len: usize,
    },
    /// The memory was not made a mailbox, or was made one by a program with another layout.
    Foreign {
        /// The first two words.
        found: [u64; 2],
    },
}

impl fmt::Display for MailboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MailboxError::TooShort { len } => {
                write!(
                    f,
                    "a mailbox takes {} bytes, this memory has {len}",
                    bytes()
                )
            }
            MailboxError::Foreign {
                found: [magic, layout],
            } => write!(
                f,
                "this memory is not a mailbox of this version of Mobula (found {magic:#x}, {layout:#x}); \
                 driver and workers must be the same program"
            ),
        }
    }
}

impl error::Error for MailboxError {}

/// The parts of a mailbox.
struct Parts {
    task: Ring,
    task_doorbell: Doorbell,
    control: Ring,
    control_doorbell: Doorbell,
    out: Ring,
    state: State,
    printed: Printed,
    panicked: Panicked,
}

impl Parts {
    fn of(memory: &Region) -> Result<Parts, MailboxError> {
        let words = memory.words().len();
        if words < END {
            return Err(MailboxError::TooShort {
                len: SharedWords::NARROW_BYTES + words * 8,
            });
        }
        let memory = || memory.clone();
        Ok(Parts {
            task: Ring::new(memory(), TASK_AT, TASK_WORDS),
            task_doorbell: Doorbell::new(memory(), TASK_DOORBELL_AT),
            control: Ring::new(memory(), CONTROL_AT, CONTROL_WORDS),
            control_doorbell: Doorbell::new(memory(), CONTROL_DOORBELL_AT),
            out: Ring::new(memory(), OUT_AT, OUT_WORDS),
            state: State::new(memory(), CURRENT_AT, SLOTS_AT, TASK_SLOTS),
            printed: Printed::new(memory(), PRINTED_AT),
            panicked: Panicked::new(memory(), PANICKED_AT),
        })
    }
}

fn write_header(memory: &Region) {
    let words = memory.words();
    words[LAYOUT_AT].store(LAYOUT, Ordering::Relaxed);
    Word::store(&words[MAGIC_AT], MAGIC, Ordering::Release);
}

fn check_header(memory: &Region) -> Result<(), MailboxError> {
    let words = memory.words();
    let found = [
        words[MAGIC_AT].load(Ordering::Acquire),
        words[LAYOUT_AT].load(Ordering::Relaxed),
    ];
    if found == [MAGIC, LAYOUT] {
        Ok(())
    } else {
        Err(MailboxError::Foreign { found })
    }
}

/// The largest capacity of a kept buffer, in bytes. A buffer that grew beyond it for one large
/// message shrinks.
const KEEP_BUFFER: usize = 1 << 20;

fn trim(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > KEEP_BUFFER {
        buffer.shrink_to(KEEP_BUFFER);
    }
}
