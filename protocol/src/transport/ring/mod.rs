//! A ring of bytes from one process to another, with one producer and one consumer.
//!
//! The protocol, its memory ordering, and why nothing waits for ever are explained in `README.md`
//! beside this file; comments refer to its headings.

mod consumer;
mod frame;
mod overflow;
mod producer;

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;

use std::{error, fmt};

use crate::primitive::{Memory, Region};

pub use consumer::Consumer;
pub use overflow::{Flushed, OverflowProducer};
pub use producer::Producer;

/// The longest message, in bytes: 1 GiB. Larger values go through the store.
pub const MAX_MESSAGE: usize = 1 << 30;

/// The smallest capacity of a ring, in words: a quarter of it must hold a frame.
pub const MIN_CAPACITY: usize = 4 * frame::ALIGN;

/// Words from one shared variable to the next: 128 bytes, since processors fetch cache lines in
/// pairs.
const LINE: usize = 16;

const TAIL: usize = 0;
const WANTED: usize = LINE;
const DATA: usize = 2 * LINE;

/// Why a ring cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingError {
    /// The other process, or a stray write, left something in the ring that the protocol does not
    /// allow. The ring is of no further use; the worker that it belongs to must be killed before
    /// its memory is.
    Corrupt {
        /// What was not right.
        what: &'static str,
        /// What was found.
        found: u64,
        /// The index, in words, at which the reader or writer was.
        at: u64,
    },
    /// A message is longer than [`MAX_MESSAGE`]. Nothing of it was sent.
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RingError::Corrupt { what, found, at } => {
                write!(f, "the ring is corrupt at word {at}: {what} ({found:#x})")
            }
            RingError::TooLong { len } => write!(
                f,
                "a message of {len} bytes is longer than the limit of {MAX_MESSAGE}; put large values into the store"
            ),
        }
    }
}

impl error::Error for RingError {}

/// The shared part of a ring, from which its two ends are made.
///
/// All words must be zero before the first end is made. One process makes the producer and one the
/// consumer, each once.
#[derive(Clone, Debug)]
pub struct Ring<M = Region> {
    memory: M,
    /// The first word of the ring in `memory`.
    first: usize,
    /// Words of data, a power of two.
    capacity: usize,
}

/// How many words of memory a ring of `capacity` words of data takes.
pub const fn ring_words(capacity: usize) -> usize {
    DATA + capacity
}

impl<M: Memory> Ring<M> {
    /// The ring with `capacity` words of data that begins at word `first` of `memory`.
    ///
    /// # Panics
    /// If `capacity` is not a power of two of at least [`MIN_CAPACITY`], or the memory ends before
    /// the ring does.
    pub fn new(memory: M, first: usize, capacity: usize) -> Ring<M> {
        assert!(
            capacity.is_power_of_two() && capacity >= MIN_CAPACITY,
            "a ring of {capacity} words"
        );
        assert!(
            memory.words().len().saturating_sub(first) >= ring_words(capacity),
            "a ring of {capacity} words at word {first} of {}",
            memory.words().len(),
        );
        Ring {
            memory,
            first,
            capacity,
        }
    }

    /// The end that writes.
    pub fn producer(&self) -> Producer<M> {
        Producer::new(self.clone())
    }

    /// The end that reads.
    pub fn consumer(&self) -> Consumer<M> {
        Consumer::new(self.clone())
    }

    /// How many words the consumer has given back since the start.
    #[inline]
    fn tail(&self) -> &M::Word {
        &self.memory.words()[self.first + TAIL]
    }

    /// Not zero while the producer waits for space.
    #[inline]
    fn wanted(&self) -> &M::Word {
        &self.memory.words()[self.first + WANTED]
    }

    #[inline]
    fn data(&self) -> &[M::Word] {
        &self.memory.words()[self.first + DATA..][..self.capacity]
    }
}
