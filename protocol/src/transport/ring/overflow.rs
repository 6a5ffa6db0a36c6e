//! The writing end for a process that must not wait. Messages without room are kept aside.

use std::collections::VecDeque;

use super::{Producer, RingError};
use crate::primitive::{Memory, Region};

/// A [`Producer`] with a queue in private memory for messages without room in the ring.
#[derive(Debug)]
pub struct OverflowProducer<M = Region> {
    producer: Producer<M>,
    /// The messages behind those in the ring, the oldest first. Their number is not bounded here:
    /// the sender decides how many messages are on the way.
    pending: VecDeque<Vec<u8>>,
    /// The number of bytes of the first pending message that are in the ring.
    sent: usize,
}

/// The result of [`OverflowProducer::flush`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flushed {
    /// Whether new data is visible to the consumer. Then the caller must notify it.
    pub news: bool,
    /// Whether no message is pending. Otherwise the consumer notifies this side when there is room
    /// ([`OverflowProducer::ready`]), and the caller must call `flush` again.
    pub all: bool,
}

impl<M: Memory> OverflowProducer<M> {
    /// Wraps a new producer.
    pub fn new(producer: Producer<M>) -> OverflowProducer<M> {
        OverflowProducer {
            producer,
            pending: VecDeque::new(),
            sent: 0,
        }
    }

    /// Takes a message. It becomes visible with the next [`flush`](OverflowProducer::flush). Never
    /// blocks. Costs one copy, and one more if the ring is full.
    ///
    /// # Errors
    /// Fails like [`Producer::stage`]. After `TooLong` the ring goes on without the message.
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

    /// Publishes the messages for which there is room. Costs one fence if the room is not enough.
    ///
    /// # Errors
    /// Fails with [`RingError::Corrupt`].
    #[inline]
    pub fn flush(&mut self) -> Result<Flushed, RingError> {
        let news = self.producer.publish();
        match self.pending.is_empty() {
            true => Ok(Flushed { news, all: true }),
            false => self.flush_pending(news),
        }
    }

    fn flush_pending(&mut self, mut news: bool) -> Result<Flushed, RingError> {
        let mut asked = false;
        loop {
            let progress = self.stage_pending()?;
            news |= self.producer.publish();
            if self.pending.is_empty() {
                return Ok(Flushed { news, all: true });
            }
            // README, "Waiting for space": finished only after an attempt, behind the fence, that
            // found no room at all.
            if asked && !progress {
                return Ok(Flushed { news, all: false });
            }
            self.producer.want_space();
            asked = true;
        }
    }

    /// Returns whether a message is pending and the consumer has made room, so that
    /// [`flush`](OverflowProducer::flush) has work. Costs at most one load. A thread must call this
    /// before it sleeps on the doorbell that the consumer notifies.
    #[inline]
    pub fn ready(&self) -> bool {
        !self.pending.is_empty() && self.producer.was_answered()
    }

    /// Returns the number of messages that wait for room in the ring.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Moves pending messages into the ring. Returns whether it has moved any bytes.
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
