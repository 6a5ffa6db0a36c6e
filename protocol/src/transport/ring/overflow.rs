//! The writing end of a process that may not wait: what does not fit is kept aside.

use std::collections::VecDeque;

use super::{Producer, RingError};
use crate::primitive::{Memory, Region};

/// A [`Producer`] with a queue in private memory for what the ring has no room for.
#[derive(Debug)]
pub struct OverflowProducer<M = Region> {
    producer: Producer<M>,
    /// Messages behind those in the ring, oldest first. Unbounded here: who sends decides how much
    /// may be under way.
    pending: VecDeque<Vec<u8>>,
    /// How much of the first pending message is in the ring.
    sent: usize,
}

/// What [`OverflowProducer::flush`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flushed {
    /// Something new is visible to the consumer, whose bell is to be rung.
    pub news: bool,
    /// Nothing is pending. If not, the consumer rings this side when there is room
    /// ([`OverflowProducer::ready`]), and `flush` is to be called again.
    pub all: bool,
}

impl<M: Memory> OverflowProducer<M> {
    /// Around a fresh producer.
    pub fn new(producer: Producer<M>) -> OverflowProducer<M> {
        OverflowProducer {
            producer,
            pending: VecDeque::new(),
            sent: 0,
        }
    }

    /// Takes a message; it becomes visible with the next [`flush`](OverflowProducer::flush). Never
    /// blocks. Cost: one copy, and one more if the ring is full.
    ///
    /// # Errors
    /// As for [`Producer::stage`]. After `TooLong` the ring goes on without the message.
    pub fn send(&mut self, message: &[u8]) -> Result<(), RingError> {
        if self.pending.is_empty() {
            let mut sent = 0;
            if self.producer.stage(message, &mut sent)? {
                return Ok(());
            }
            self.sent = sent;
        } else if message.len() > super::MAX_MESSAGE {
            return Err(RingError::TooLong { len: message.len() });
        }
        self.pending.push_back(message.to_vec());
        Ok(())
    }

    /// Publishes what was sent, as far as there is room. One fence if there is not enough.
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    pub fn flush(&mut self) -> Result<Flushed, RingError> {
        let mut news = self.producer.publish();
        let mut asked = false;
        loop {
            let progress = self.stage_pending()?;
            news |= self.producer.publish();
            if self.pending.is_empty() {
                return Ok(Flushed { news, all: true });
            }
            // README, "Waiting for space": done only after an attempt, behind the fence, that found
            // no room at all.
            if asked && !progress {
                return Ok(Flushed { news, all: false });
            }
            self.producer.want_space();
            asked = true;
        }
    }

    /// Whether something is pending and the consumer has made room, so that
    /// [`flush`](OverflowProducer::flush) has something to do. At most one load. A thread must ask
    /// this before it sleeps on the bell that the consumer rings for room.
    #[inline]
    pub fn ready(&self) -> bool {
        !self.pending.is_empty() && self.producer.was_answered()
    }

    /// How many messages wait for room in the ring.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Moves pending messages into the ring. Returns whether anything was moved.
    fn stage_pending(&mut self) -> Result<bool, RingError> {
        let mut progress = false;
        while let Some(message) = self.pending.front() {
            let before = self.sent;
            let whole = self.producer.stage(message, &mut self.sent)?;
            progress |= whole || self.sent != before;
            if !whole {
                break;
            }
            self.pending.pop_front();
            self.sent = 0;
        }
        Ok(progress)
    }
}
