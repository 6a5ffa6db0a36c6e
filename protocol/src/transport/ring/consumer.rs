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

/// The end of a ring that reads.
///
/// It copies each frame into private memory and believes nothing that it has not checked: any
/// content of the shared words gives messages or an error.
pub struct Consumer<M = Region> {
    ring: Ring<M>,
    /// Where the next frame begins. Private: the shared copy is for the producer only.
    tail: u64,
    /// What the producer was told of `tail`.
    published: u64,
    /// What has arrived of a message of several frames.
    partial: Vec<u8>,
    /// The producer waits for space, and there is some.
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

    /// Puts the next message into `out`, in place of what was there. Returns whether there was one;
    /// if not, `out` is as it was.
    ///
    /// Cost: the copy. Memory for a message of several frames grows with what has arrived (by
    /// doubling), and ends at [`MAX_MESSAGE`].
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    pub fn pop(&mut self, out: &mut Vec<u8>) -> Result<bool, RingError> {
        while let Some(header) = self.header()? {
            let whole = header.first && header.last;
            if whole {
                out.clear();
            }
            let to = if whole { &mut *out } else { &mut self.partial };
            frame::read(self.ring.data(), self.tail, header, to);
            self.tail += header.words() as u64;
            if self.tail - self.published >= self.ring.capacity as u64 / 2 {
                self.publish();
            }
            if header.last {
                if !whole {
                    *out = mem::take(&mut self.partial);
                }
                return Ok(true);
            }
        }
        self.publish();
        Ok(false)
    }

    /// Whether a [`pop`](Consumer::pop) has something to do: frames to read (perhaps not yet a
    /// whole message, perhaps garbage), or a producer to tell of space. One or two loads.
    ///
    /// After a fence this is what a thread must ask before it sleeps (README, "Bells").
    #[inline]
    pub fn ready(&self) -> bool {
        self.next().load(Acquire) != frame::NONE || self.ring.wanted().load(Relaxed) != 0
    }

    /// Whether the producer has asked to be told of space, and there is some now. The answer is
    /// given once; the caller must ring the producer's bell.
    pub fn take_wake_producer(&mut self) -> bool {
        mem::take(&mut self.wake_producer)
    }

    /// Gives back what was read, and looks whether the producer waits for it.
    fn publish(&mut self) {
        if self.published != self.tail {
            // README, "Publishing": our loads of the words come before the producer's next stores.
            self.ring.tail().store(self.tail, Release);
            self.published = self.tail;
        }
        // README, "Waiting for space": no fence here; the one before sleeping is enough.
        if self.ring.wanted().load(Relaxed) != 0 {
            self.wake_producer |= self.ring.wanted().swap(0, Release) != 0;
        }
    }

    /// The header at `tail`, if a frame was published there that continues the message.
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

    /// Where the next header is.
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
