//! The writing end of a ring.

use std::{
    fmt,
    sync::atomic::Ordering::{Acquire, Relaxed, Release},
};

use super::{
    MAX_MESSAGE, Ring, RingError,
    frame::{self, ALIGN, Header},
};
use crate::primitive::{Memory, Region, Word};

/// The writing end of a ring. It never blocks. [`OverflowProducer`](super::OverflowProducer) and
/// [`OutWriter`](crate::mailbox::OutWriter) handle a full ring.
///
/// Messages are *staged* frame by frame and become visible when they are *published*. So several
/// messages cost one store that the other process sees, and one notification.
pub struct Producer<M = Region> {
    ring: Ring<M>,
    /// The index of the next frame.
    head: u64,
    /// The index of the first frame that the consumer does not see, or `head` if there is none.
    published: u64,
    /// The first words of that frame, which are kept back.
    kept: [u64; ALIGN],
    /// The consumer's index at the last check. It is at most `published`.
    tail: u64,
}

impl<M: Memory> Producer<M> {
    pub(super) fn new(ring: Ring<M>) -> Producer<M> {
        Producer {
            ring,
            head: 0,
            published: 0,
            kept: [frame::NONE; ALIGN],
            tail: 0,
        }
    }

    /// Writes the part of `message` for which there is room, and adds its length in bytes to
    /// `sent`. `sent` begins at 0. Returns whether the message is complete. If not, the caller must
    /// publish, and call again with the same message and `sent` before it stages another message.
    ///
    /// Costs the copy, and one load of the consumer's index when the ring looks full.
    ///
    /// # Errors
    /// Fails with [`RingError::TooLong`] for more than [`MAX_MESSAGE`] bytes, or with
    /// [`RingError::Corrupt`].
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
            let (near, far) = rest[..len].split_at(len.min(frame::NEAR));
            let word = header.encode(self.head);
            if self.head == self.published {
                self.kept[0] = word;
                frame::each_word(near, |n, word| self.kept[1 + n] = word);
            } else {
                let line = frame::line(self.ring.data(), self.head);
                line[0].store(word, Relaxed);
                frame::each_word(near, |n, word| line[1 + n].store(word, Relaxed));
            }
            frame::write_far(self.ring.data(), self.head, far);
            self.head += header.words() as u64;
            *sent += len;
            if header.last {
                return Ok(true);
            }
        }
    }

    /// Makes the staged frames visible to the consumer. Returns whether there were any. Then the
    /// caller must notify the consumer.
    pub fn publish(&mut self) -> bool {
        let news = self.published != self.head;
        if news {
            // README, "Publishing": first the end, then the header that shows all frames up to
            // there.
            let data = self.ring.data();
            frame::line(data, self.head)[0].store(frame::NONE, Relaxed);
            let [header, payload @ ..] = frame::line(data, self.published);
            for (word, value) in payload.iter().zip(&self.kept[1..]) {
                word.store(*value, Relaxed);
            }
            header.store(self.kept[0], Release);
            self.published = self.head;
        }
        news
    }

    /// Asks the consumer for a notification when it has given back space. Must be called after
    /// [`publish`](Producer::publish) when the ring is full. The caller must then try
    /// [`stage`](Producer::stage) once more before it waits for the answer (README, "Waiting for
    /// space").
    pub fn want_space(&mut self) {
        self.ring.wanted().store(1, Relaxed);
        M::fence();
    }

    /// Returns whether the consumer has answered [`want_space`](Producer::want_space). Costs one
    /// load.
    pub fn was_answered(&self) -> bool {
        self.ring.wanted().load(Acquire) == 0
    }

    fn has_room(&mut self, words: u64) -> Result<bool, RingError> {
        if self.free() >= words {
            return Ok(true);
        }
        // README, "Publishing": Acquire, since the consumer must have read the words before they
        // are overwritten.
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

    /// Returns the number of words that a frame may take. The end behind it needs one more.
    fn free(&self) -> u64 {
        self.ring.capacity as u64 - 1 - (self.head - self.tail)
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
