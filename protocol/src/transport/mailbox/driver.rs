//! The driver's end of a mailbox.

use super::{
    DriverPanicked, DriverPrinted, DriverState, MailboxError, Parts, TransportError, trim,
    write_header,
};
use crate::{
    bell::Bell,
    message::{ArgRef, FromWorker, TaskMessage, ToWorker},
    primitive::Region,
    ring::{Consumer, OverflowProducer, RingError},
    wire::{self, WireError},
};

/// The driver's end. Its parts can be taken apart and used from different threads; none of them
/// ever blocks.
#[derive(Debug)]
pub struct DriverEnd {
    /// Tasks to the worker.
    pub task: LaneWriter,
    /// All else to the worker.
    pub control: LaneWriter,
    /// What the worker says.
    pub out: OutReader,
    /// What the worker may start and runs.
    pub state: DriverState,
    /// What is said about the worker's output.
    pub printed: DriverPrinted,
    /// How the worker panicked, if it did not survive that.
    pub panicked: DriverPanicked,
}

impl DriverEnd {
    /// Makes a mailbox out of memory, all zero, of at least [`bytes`](super::bytes) bytes. Once for
    /// each mailbox, before the worker opens it.
    ///
    /// # Errors
    /// [`MailboxError::TooShort`].
    pub fn create(memory: &Region) -> Result<DriverEnd, MailboxError> {
        let parts = Parts::of(memory)?;
        write_header(memory);
        Ok(DriverEnd {
            task: LaneWriter::new(
                OverflowProducer::new(parts.task.producer()),
                parts.task_bell,
            ),
            control: LaneWriter::new(
                OverflowProducer::new(parts.control.producer()),
                parts.control_bell,
            ),
            out: OutReader::new(parts.out.consumer()),
            state: DriverState::new(parts.state),
            printed: DriverPrinted(parts.printed),
            panicked: DriverPanicked(parts.panicked),
        })
    }

    /// Sends through the lane that the message belongs to; it becomes visible with the next
    /// [`flush`](DriverEnd::flush). A revocable task's slot is marked as queued before.
    ///
    /// # Errors
    /// Nothing is sent then. See [`LaneWriter::send`].
    pub fn send(&mut self, message: &ToWorker) -> Result<(), TransportError> {
        match message {
            ToWorker::Task(task) => self.send_task(&task.by_ref()),
            _ => self.control.send(message),
        }
    }

    /// As [`send`](DriverEnd::send), for a task.
    ///
    /// # Errors
    /// As there.
    pub fn send_task(&mut self, task: &TaskMessage<ArgRef<'_>>) -> Result<(), TransportError> {
        if task.revocable {
            self.state.queue(task.slot, task.attempt);
        }
        self.task
            .send_encoded(|buffer| wire::encode_task(task, buffer))
    }

    /// Makes visible what was sent through both lanes, and rings where there is news. Returns
    /// whether all of it found room; if not, the worker rings the driver's bell when there is some
    /// ([`ready`](DriverEnd::ready) then says so), and `flush` is to be called again.
    ///
    /// # Errors
    /// As for [`LaneWriter::flush`].
    pub fn flush(&mut self) -> Result<bool, RingError> {
        let control = self.control.flush()?;
        let task = self.task.flush()?;
        Ok(control && task)
    }

    /// Whether the worker has said something, or made room for what is pending: all that a ring of
    /// the driver's bell can stand for. A few loads; asked before the driver sleeps.
    #[inline]
    pub fn ready(&self) -> bool {
        self.out.ready() || self.control.ready() || self.task.ready()
    }
}

/// A lane to a worker, for the side that writes.
#[derive(Debug)]
pub struct LaneWriter {
    ring: OverflowProducer,
    bell: Bell,
    /// For encoding.
    buffer: Vec<u8>,
}

impl LaneWriter {
    fn new(ring: OverflowProducer, bell: Bell) -> LaneWriter {
        LaneWriter {
            ring,
            bell,
            buffer: Vec::new(),
        }
    }

    /// Takes a message; it becomes visible with the next [`flush`](LaneWriter::flush). Never
    /// blocks: what the ring has no room for waits in private memory.
    ///
    /// # Errors
    /// A message that cannot be encoded or is too long is not sent, and the lane goes on. A corrupt
    /// ring is of no further use.
    pub fn send(&mut self, message: &ToWorker) -> Result<(), TransportError> {
        self.send_encoded(|buffer| wire::encode_to_worker(message, buffer))
    }

    #[inline]
    fn send_encoded(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), WireError>,
    ) -> Result<(), TransportError> {
        trim(&mut self.buffer);
        encode(&mut self.buffer)?;
        Ok(self.ring.send(&self.buffer)?)
    }

    /// Makes visible what was sent, and rings if there is news. Returns whether all of it found
    /// room. Cost: a store and the bell's ring; nothing if there is nothing new.
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    pub fn flush(&mut self) -> Result<bool, RingError> {
        let flushed = self.ring.flush()?;
        if flushed.news {
            self.bell.ring();
        }
        Ok(flushed.all)
    }

    /// Whether [`flush`](LaneWriter::flush) has something to do that it could not do before: the
    /// worker has made room for what is pending. The driver asks this before it sleeps.
    #[inline]
    pub fn ready(&self) -> bool {
        self.ring.ready()
    }

    /// Messages for which the ring had no room yet.
    pub fn pending(&self) -> usize {
        self.ring.pending()
    }
}

/// The lane from a worker, for the driver.
#[derive(Debug)]
pub struct OutReader {
    ring: Consumer,
    /// For arriving messages.
    buffer: Vec<u8>,
}

impl OutReader {
    fn new(ring: Consumer) -> OutReader {
        OutReader {
            ring,
            buffer: Vec::new(),
        }
    }

    /// The next message, if there is one. Never blocks. It goes on to work after the worker has
    /// died: what the worker had published is still there.
    ///
    /// # Errors
    /// What arrived is no message: the worker must be killed, for nothing of what it says can be
    /// believed any more.
    pub fn receive(&mut self) -> Result<Option<FromWorker>, TransportError> {
        trim(&mut self.buffer);
        if !self.ring.pop(&mut self.buffer)? {
            return Ok(None);
        }
        Ok(Some(wire::decode_from_worker(&self.buffer)?))
    }

    /// Whether [`receive`](OutReader::receive) has something to do. One or two loads: this is what
    /// the driver asks before it sleeps.
    #[inline]
    pub fn ready(&self) -> bool {
        self.ring.ready()
    }
}
