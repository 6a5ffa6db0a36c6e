//! A ring of bytes from one process to another, with one producer and one consumer.
//!
//! `README.md` beside this file explains the protocol, its memory ordering, and why no side waits
//! for ever. Comments refer to its headings.

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

/// The smallest capacity of a ring, in words. A quarter of a ring must hold a frame.
pub const MIN_CAPACITY: usize = 4 * frame::ALIGN;

/// The distance in words of shared variables: 128 bytes, since processors fetch cache lines in
/// pairs.
const LINE: usize = 16;

const TAIL: usize = 0;
const WANTED: usize = LINE;
const DATA: usize = 2 * LINE;

/// The reason for which a ring cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingError {
    /// The ring has content that the protocol does not allow, from the other process or from a
    /// stray write. The ring is of no further use. The driver must kill its worker before it unmaps
    /// the ring.
    Corrupt {
        /// The error in words.
        what: &'static str,
        /// The word that was found.
        found: u64,
        /// The index, in words, of the reader or writer.
        at: u64,
    },
    /// A message is longer than [`MAX_MESSAGE`]. No part of it was sent.
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

/// The shared part of a ring. Its two ends are made from it.
///
/// All words must be zero before the first end is made. One process makes the producer and one
/// makes the consumer, each once.
#[derive(Clone, Debug)]
pub struct Ring<M = Region> {
    memory: M,
    /// The first word of the ring in `memory`.
    first: usize,
    /// The number of words for data, a power of two.
    capacity: usize,
}

/// Returns the number of words of memory for a ring of `capacity` words of data.
pub const fn ring_words(capacity: usize) -> usize {
    DATA + capacity
}

impl<M: Memory> Ring<M> {
    /// Returns the ring with `capacity` words of data that begins at word `first` of `memory`.
    ///
    /// # Panics
    /// Panics if `capacity` is no power of two or less than [`MIN_CAPACITY`], or if the memory ends
    /// before the ring.
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

    /// Returns the writing end.
    pub fn producer(&self) -> Producer<M> {
        Producer::new(self.clone())
    }

    /// Returns the reading end.
    pub fn consumer(&self) -> Consumer<M> {
        Consumer::new(self.clone())
    }

    /// Returns the word with the number of words that the consumer has given back since the start.
    #[inline]
    fn tail(&self) -> &M::Word {
        &self.memory.words()[self.first + TAIL]
    }

    /// Returns the word that is not zero while the producer waits for space.
    #[inline]
    fn wanted(&self) -> &M::Word {
        &self.memory.words()[self.first + WANTED]
    }

    #[inline]
    fn data(&self) -> &[M::Word] {
        &self.memory.words()[self.first + DATA..][..self.capacity]
    }
}
