//! The driver's end of a mailbox.

use super::{
    DriverPanicked, DriverPrinted, DriverState, MailboxError, Parts, TransportError, trim,
    write_header,
};
use crate::{
    doorbell::Doorbell,
    message::{ArgRef, FromWorker, TaskMessage, ToWorker},
    primitive::Region,
    ring::{Consumer, OverflowProducer, RingError},
    wire::{self, WireError},
};

/// The driver's end. Its parts can be taken apart and used by different threads. None of them ever
/// blocks.
#[derive(Debug)]
pub struct DriverEnd {
    /// The lane for tasks to the worker.
    pub task: LaneWriter,
    /// The lane for all other messages to the worker.
    pub control: LaneWriter,
    /// The lane for messages from the worker.
    pub out: OutReader,
    /// The tasks that the worker may start, and the task that it runs.
    pub state: DriverState,
    /// The progress of the driver with the worker's output.
    pub printed: DriverPrinted,
    /// The text of the worker's panic, if it did not survive the panic.
    pub panicked: DriverPanicked,
}

impl DriverEnd {
    /// Makes a mailbox of memory that is all zero and has at least [`bytes`](super::bytes) bytes.
    /// Must be called once for each mailbox, before the worker opens it.
    ///
    /// # Errors
    /// Fails with [`MailboxError::TooShort`].
    pub fn create(memory: &Region) -> Result<DriverEnd, MailboxError> {
        let parts = Parts::of(memory)?;
        write_header(memory);
        Ok(DriverEnd {
            task: LaneWriter::new(
                OverflowProducer::new(parts.task.producer()),
                parts.task_doorbell,
            ),
            control: LaneWriter::new(
                OverflowProducer::new(parts.control.producer()),
                parts.control_doorbell,
            ),
            out: OutReader::new(parts.out.consumer()),
            state: DriverState::new(parts.state),
            printed: DriverPrinted(parts.printed),
            panicked: DriverPanicked(parts.panicked),
        })
    }

    /// Sends a message through its lane. It becomes visible with the next
    /// [`flush`](DriverEnd::flush). Before, the slot of a revocable task is marked as queued.
    ///
    /// # Errors
    /// Fails like [`LaneWriter::send`]. Then nothing is sent.
    pub fn send(&mut self, message: &ToWorker) -> Result<(), TransportError> {
        match message {
            ToWorker::Task(task) => self.send_task(&task.by_ref()),
            _ => self.control.send(message),
        }
    }

    /// Sends a task, like [`send`](DriverEnd::send).
    ///
    /// # Errors
    /// Fails like [`send`](DriverEnd::send).
    pub fn send_task(&mut self, task: &TaskMessage<ArgRef<'_>>) -> Result<(), TransportError> {
        if task.revocable {
            self.state.queue(task.slot, task.attempt);
        }
        self.task
            .send_encoded(|buffer| wire::encode_task(task, buffer))
    }

    /// Makes the messages in both lanes visible, and notifies the worker of new ones. Returns
    /// whether all of them found room. If not, the worker notifies the driver when there is room,
    /// and then [`ready`](DriverEnd::ready) returns `true`. The caller must call `flush` again
    /// then.
    ///
    /// # Errors
    /// Fails like [`LaneWriter::flush`].
    pub fn flush(&mut self) -> Result<bool, RingError> {
        let control = self.control.flush()?;
        let task = self.task.flush()?;
        Ok(control && task)
    }

    /// Returns whether the worker has sent a message, or has made room for pending messages. The
    /// driver's doorbell has no other reason. Costs a few loads. The driver calls this before it
    /// sleeps.
    #[inline]
    pub fn ready(&self) -> bool {
        self.out.ready() || self.control.ready() || self.task.ready()
    }
}

/// The writing end of a lane to a worker.
#[derive(Debug)]
pub struct LaneWriter {
    ring: OverflowProducer,
    doorbell: Doorbell,
    /// The buffer for encoded messages.
    buffer: Vec<u8>,
}

impl LaneWriter {
    fn new(ring: OverflowProducer, doorbell: Doorbell) -> LaneWriter {
        LaneWriter {
            ring,
            doorbell,
            buffer: Vec::new(),
        }
    }

    /// Takes a message. It becomes visible with the next [`flush`](LaneWriter::flush). Never
    /// blocks: messages without room in the ring wait in private memory.
    ///
    /// # Errors
    /// Fails if the message cannot be encoded or is too long. Then it is not sent, and the lane
    /// goes on. Fails if the ring is corrupt. Then the lane is of no further use.
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

    /// Makes the messages visible, and notifies the worker if there are new ones. Returns whether
    /// all of them found room. Costs a store and a notification, or nothing without new messages.
    ///
    /// # Errors
    /// Fails with [`RingError::Corrupt`].
    pub fn flush(&mut self) -> Result<bool, RingError> {
        let flushed = self.ring.flush()?;
        if flushed.news {
            self.doorbell.notify();
        }
        Ok(flushed.all)
    }

    /// Returns whether the worker has made room for pending messages, so that
    /// [`flush`](LaneWriter::flush) can do more than before. The driver calls this before it
    /// sleeps.
    #[inline]
    pub fn ready(&self) -> bool {
        self.ring.ready()
    }

    /// Returns the number of messages for which the ring had no room yet.
    pub fn pending(&self) -> usize {
        self.ring.pending()
    }
}

/// The driver's end of the lane from a worker.
#[derive(Debug)]
pub struct OutReader {
    ring: Consumer,
    /// The buffer for received messages.
    buffer: Vec<u8>,
}

impl OutReader {
    fn new(ring: Consumer) -> OutReader {
        OutReader {
            ring,
            buffer: Vec::new(),
        }
    }

    /// Returns the next message, if there is one. Never blocks. It works after the worker's death
    /// too: messages that the worker had published are still there.
    ///
    /// # Errors
    /// Fails if the received bytes are no message. The driver must then kill the worker, since no
    /// message of it can be trusted any more.
    pub fn receive(&mut self) -> Result<Option<FromWorker>, TransportError> {
        trim(&mut self.buffer);
        if !self.ring.pop(&mut self.buffer)? {
            return Ok(None);
        }
        Ok(Some(wire::decode_from_worker(&self.buffer)?))
    }

    /// Returns whether [`receive`](OutReader::receive) has work. Costs one or two loads. The driver
    /// calls this before it sleeps.
    #[inline]
    pub fn ready(&self) -> bool {
        self.ring.ready()
    }
}
