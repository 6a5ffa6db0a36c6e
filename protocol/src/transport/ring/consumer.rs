//! The reading end of a ring.

use std::{
    fmt, mem,
    sync::atomic::Ordering::{Acquire, Relaxed, Release},
};

use super::{
    MAX_MESSAGE, Ring, RingError,
    frame::{self, Header},
};
use crate::primitive::{Memory, Region, Word};

/// The reading end of a ring.
///
/// It copies each frame into private memory and trusts no content that it has not checked. Any
/// content of the shared words gives messages or an error.
pub struct Consumer<M = Region> {
    ring: Ring<M>,
    /// The index of the next frame. It is private: the copy in shared memory is for the producer
    /// only.
    tail: u64,
    /// The value of `tail` that the producer knows.
    published: u64,
    /// The received part of a message of several frames.
    partial: Vec<u8>,
    /// Whether the producer waits for space, and there is some.
    wake_producer: bool,
}

impl<M: Memory> Consumer<M> {
    pub(super) fn new(ring: Ring<M>) -> Consumer<M> {
        Consumer {
            ring,
            tail: 0,
            published: 0,
            partial: Vec::new(),
            wake_producer: false,
        }
    }

    /// Puts the next message into `out`, in place of its content. Returns whether there was a
    /// message. If not, `out` is unchanged.
    ///
    /// Costs the copy. The memory for a message of several frames grows with the received part, by
    /// doubling, up to [`MAX_MESSAGE`].
    ///
    /// # Errors
    /// Fails with [`RingError::Corrupt`].
    pub fn pop(&mut self, out: &mut Vec<u8>) -> Result<bool, RingError> {
        let Some(header) = self.header()? else {
            self.publish();
            return Ok(false);
        };
        if !header.is_short() {
            return self.pop_long(header, out);
        }
        frame::read_short(self.ring.data(), self.tail, header, out);
        self.pass(header);
        Ok(true)
    }

    /// Does the work of [`pop`](Consumer::pop) from the frame on that `header` begins. Nearly all
    /// messages are short, and their path stays small without this.
    #[inline(never)]
    fn pop_long(&mut self, mut header: Header, out: &mut Vec<u8>) -> Result<bool, RingError> {
        loop {
            let whole = header.first && header.last;
            if whole {
                out.clear();
            }
            let to = if whole { &mut *out } else { &mut self.partial };
            frame::read(self.ring.data(), self.tail, header, to);
            self.pass(header);
            if header.last {
                if !whole {
                    *out = mem::take(&mut self.partial);
                }
                return Ok(true);
            }
            let Some(next) = self.header()? else {
                self.publish();
                return Ok(false);
            };
            header = next;
        }
    }

    /// Goes on behind the frame that `header` begins.
    #[inline]
    fn pass(&mut self, header: Header) {
        self.tail += header.words() as u64;
        if self.tail - self.published >= self.ring.capacity as u64 / 2 {
            self.publish();
        }
    }

    /// Returns whether a [`pop`](Consumer::pop) has work: frames to read, or a producer that waits
    /// for space. The frames may be less than a message, or garbage. Costs one or two loads.
    ///
    /// A thread must call this after a fence, before it sleeps (README, "Doorbells").
    #[inline]
    pub fn ready(&self) -> bool {
        self.next().load(Acquire) != frame::NONE || self.ring.wanted().load(Relaxed) != 0
    }

    /// Returns whether the producer has asked for a notification of space, and there is some now.
    /// Returns `true` once for a request, and then the caller must notify the producer.
    pub fn take_wake_producer(&mut self) -> bool {
        mem::take(&mut self.wake_producer)
    }

    /// Gives back the space of the read frames, and checks whether the producer waits for it.
    fn publish(&mut self) {
        if self.published != self.tail {
            // README, "Publishing": the loads of the words come before the producer's next stores.
            self.ring.tail().store(self.tail, Release);
            self.published = self.tail;
        }
        // README, "Waiting for space": no fence here. The fence before a sleep is enough.
        if self.ring.wanted().load(Relaxed) != 0 {
            self.wake_producer |= self.ring.wanted().swap(0, Release) != 0;
        }
    }

    /// Returns the header at `tail`, if a frame that continues the message was published there.
    #[inline(always)]
    fn header(&self) -> Result<Option<Header>, RingError> {
        // README, "Publishing": Acquire, so that the frame is visible.
        let word = self.next().load(Acquire);
        if word == frame::NONE {
            return Ok(None);
        }
        let header = Header::decode(word, self.ring.capacity, self.tail)?;
        // A frame that is not the last is never empty, so this tells whether a message has begun.
        if header.first != self.partial.is_empty() {
            return Err(self.corrupt("the frame does not continue the message", word));
        }
        if header.len > MAX_MESSAGE - self.partial.len() {
            return Err(self.corrupt("the message is too long", word));
        }
        Ok(Some(header))
    }

    /// Returns the word of the next header.
    #[inline]
    fn next(&self) -> &M::Word {
        &frame::line(self.ring.data(), self.tail)[0]
    }

    #[cold]
    fn corrupt(&self, what: &'static str, found: u64) -> RingError {
        RingError::Corrupt {
            what,
            found,
            at: self.tail,
        }
    }
}

impl<M> fmt::Debug for Consumer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("tail", &self.tail)
            .field("published", &self.published)
            .field("partial", &self.partial.len())
            .finish_non_exhaustive()
    }
}
