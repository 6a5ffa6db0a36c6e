//! The writing end of a ring.

use std::{
    fmt,
    sync::atomic::Ordering::{Acquire, Relaxed, Release},
};

use super::{
    MAX_MESSAGE, Ring, RingError,
    frame::{self, Header},
};
use crate::primitive::{Memory, Region, Word};

/// The end of a ring that writes. It never blocks; see [`OverflowProducer`](super::OverflowProducer)
/// and [`OutWriter`](crate::mailbox::OutWriter) for what to do while the ring is full.
///
/// Messages are *staged* frame by frame and become visible when they are *published*: several
/// messages cost one store that the other process sees, and one doorbell.
pub struct Producer<M = Region> {
    ring: Ring<M>,
    /// Where the next frame begins. Private: the shared copy is for the consumer only.
    head: u64,
    /// What the consumer was told of `head`.
    published: u64,
    /// The consumer's index as last validated; at most `published`.
    tail: u64,
}

impl<M: Memory> Producer<M> {
    pub(super) fn new(ring: Ring<M>) -> Producer<M> {
        Producer {
            ring,
            head: 0,
            published: 0,
            tail: 0,
        }
    }

    /// Writes as much of `message` as there is room for, and adds to `sent` how many bytes that
    /// was. Returns whether it was all: if not, publish, and call again with the same message and
    /// `sent` before any other message is staged. `sent` begins at 0.
    ///
    /// Cost: the copy; one load of the consumer's index when the ring looks full.
    ///
    /// # Errors
    /// [`RingError::TooLong`] for more than [`MAX_MESSAGE`] bytes; [`RingError::Corrupt`].
    pub fn stage(&mut self, message: &[u8], sent: &mut usize) -> Result<bool, RingError> {
        if message.len() > MAX_MESSAGE {
            return Err(RingError::TooLong { len: message.len() });
        }
        loop {
            let rest = message.get(*sent..).unwrap_or_default();
            let len = rest.len().min(frame::max_payload(self.ring.capacity));
            let header = Header {
                first: *sent == 0,
                last: len == rest.len(),
                len,
            };
            if !self.has_room(header.words() as u64)? {
                return Ok(false);
            }
            frame::write(self.ring.data(), self.head, header, &rest[..len]);
            self.head += header.words() as u64;
            *sent += len;
            if header.last {
                return Ok(true);
            }
        }
    }

    /// Shows the consumer what was staged. Returns whether there was anything, in which case its
    /// bell is to be rung.
    pub fn publish(&mut self) -> bool {
        let news = self.published != self.head;
        if news {
            // README, "Indices": makes the frames visible with the index.
            self.ring.head().store(self.head, Release);
            self.published = self.head;
        }
        news
    }

    /// Asks the consumer to say when it has given back space. To be called after
    /// [`publish`](Producer::publish) when the ring is full; then [`stage`](Producer::stage) must
    /// be tried once more before the answer is waited for (README, "Waiting for space").
    pub fn want_space(&mut self) {
        self.ring.wanted().store(1, Relaxed);
        M::fence();
    }

    /// Whether the consumer has answered [`want_space`](Producer::want_space). One load.
    pub fn was_answered(&self) -> bool {
        self.ring.wanted().load(Acquire) == 0
    }

    fn has_room(&mut self, words: u64) -> Result<bool, RingError> {
        if self.free() >= words {
            return Ok(true);
        }
        // README, "Indices": Acquire, so that the consumer has read the words we overwrite.
        let tail = self.ring.tail().load(Acquire);
        if tail.wrapping_sub(self.tail) > self.published - self.tail {
            return Err(RingError::Corrupt {
                what: "the consumer's index is not between its last value and the producer's",
                found: tail,
                at: self.head,
            });
        }
        self.tail = tail;
        Ok(self.free() >= words)
    }

    /// Words that may be written.
    fn free(&self) -> u64 {
        self.ring.capacity as u64 - (self.head - self.tail)
    }
}

impl<M> fmt::Debug for Producer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("head", &self.head)
            .field("published", &self.published)
            .field("tail", &self.tail)
            .finish_non_exhaustive()
    }
}
