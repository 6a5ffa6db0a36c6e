//! The worker's end of a mailbox.

use std::{thread, time::Duration};

use super::{
    MailboxError, Parts, TransportError, WorkerPanicked, WorkerPrinted, WorkerState, check_header,
    trim,
};
use crate::{
    doorbell::{Doorbell, DriverDoorbell},
    message::{FromWorker, ToWorker},
    primitive::Region,
    ring::{Consumer, Producer},
    waiting::{LANE_SLEEP, LANE_SLEEPS, LANE_YIELDS, Mechanism},
    wire,
};

/// The worker's end, to be taken apart. Different threads read the lanes, and the out lane is
/// behind a mutex.
#[derive(Debug)]
pub struct WorkerEnd {
    /// The lane for tasks.
    pub task: LaneReader,
    /// The lane for all other messages.
    pub control: LaneReader,
    /// The lane for messages of this worker.
    pub out: OutWriter,
    /// The tasks that this worker starts, and the one that it runs.
    pub state: WorkerState,
    /// The progress of the driver with this worker's output.
    pub printed: WorkerPrinted,
    /// The place for the text of a panic of this worker.
    pub panicked: WorkerPanicked,
}

impl WorkerEnd {
    /// Opens a mailbox that the driver has made. Must be called once for each mailbox.
    ///
    /// # Errors
    /// Fails with a [`MailboxError`] if the memory is no mailbox.
    pub fn open(memory: &Region, driver: &DriverDoorbell) -> Result<WorkerEnd, MailboxError> {
        let parts = Parts::of(memory)?;
        check_header(memory)?;
        let reader = |ring: Consumer, doorbell| LaneReader {
            ring,
            doorbell,
            driver: driver.clone(),
            buffer: Vec::new(),
        };
        Ok(WorkerEnd {
            task: reader(parts.task.consumer(), parts.task_doorbell),
            control: reader(parts.control.consumer(), parts.control_doorbell),
            out: OutWriter {
                ring: parts.out.producer(),
                driver: driver.clone(),
                buffer: Vec::new(),
            },
            state: WorkerState::new(parts.state),
            printed: WorkerPrinted(parts.printed),
            panicked: WorkerPanicked(parts.panicked),
        })
    }
}

/// The reading end of a lane to this worker.
#[derive(Debug)]
pub struct LaneReader {
    ring: Consumer,
    doorbell: Doorbell,
    /// The driver's doorbell, to notify when the driver waits for room in the lane.
    driver: DriverDoorbell,
    /// The buffer for received messages.
    buffer: Vec<u8>,
}

impl LaneReader {
    /// Returns the next message, if there is one. Never blocks.
    ///
    /// # Errors
    /// Fails if the received bytes are no message. Then the lane is of no further use, and neither
    /// is this worker.
    pub fn receive(&mut self) -> Result<Option<ToWorker>, TransportError> {
        trim(&mut self.buffer);
        let some = self.ring.pop(&mut self.buffer)?;
        if self.ring.take_wake_producer() {
            self.driver.notify();
        }
        if !some {
            return Ok(None);
        }
        Ok(Some(wire::decode_to_worker(&self.buffer)?))
    }

    /// Returns whether [`receive`](LaneReader::receive) has work. Costs one to three loads.
    pub fn ready(&self) -> bool {
        self.ring.ready()
    }

    /// Returns the lane's doorbell, for threads that share the reader behind a mutex. They sleep on
    /// it with [`ready`](LaneReader::ready) as a part of the condition, and notify it to wake each
    /// other. At most one may sleep on it at a time.
    pub fn doorbell(&self) -> Doorbell {
        self.doorbell.clone()
    }

    /// Blocks until [`receive`](LaneReader::receive) has work, a thread notifies the doorbell, or
    /// the timeout has passed. May return early.
    pub fn wait(&self, timeout: Option<Duration>) {
        self.doorbell.sleep(timeout, || self.ready());
    }
}

/// The writing end of the lane from this worker.
///
/// It waits when the ring is full. That ends, since the driver drains the ring without waiting. A
/// watch in the worker kills the worker if its driver has ended.
#[derive(Debug)]
pub struct OutWriter {
    ring: Producer,
    driver: DriverDoorbell,
    /// The buffer for encoded messages.
    buffer: Vec<u8>,
}

impl OutWriter {
    /// Takes a message. It becomes visible with the next [`flush`](OutWriter::flush), or before.
    ///
    /// # Errors
    /// Fails if the message cannot be encoded or is too long. Then it is not sent, and the lane
    /// goes on. Fails if the ring is corrupt. Then the lane is of no further use.
    pub fn stage(&mut self, message: &FromWorker) -> Result<(), TransportError> {
        trim(&mut self.buffer);
        wire::encode_from_worker(message, &mut self.buffer)?;
        let mut sent = 0;
        let mut patience = Patience::default();
        loop {
            let before = sent;
            if self.ring.stage(&self.buffer, &mut sent)? {
                return Ok(());
            }
            if sent != before {
                patience = Patience::default();
            }
            self.flush();
            patience.pause();
        }
    }

    /// Makes the staged messages visible, and notifies the driver if there are new ones.
    pub fn flush(&mut self) {
        if self.ring.publish() {
            self.driver.notify();
        }
    }

    /// Calls [`stage`](OutWriter::stage) and [`flush`](OutWriter::flush).
    ///
    /// # Errors
    /// Fails like [`stage`](OutWriter::stage).
    pub fn send(&mut self, message: &FromWorker) -> Result<(), TransportError> {
        self.stage(message)?;
        self.flush();
        Ok(())
    }
}

/// The pauses of a writer while the driver drains the ring. The driver takes some tens of
/// microseconds for a full ring.
#[derive(Default)]
struct Patience {
    pauses: u32,
}

impl Patience {
    fn pause(&mut self) {
        let yields = if Mechanism::LaneYields.is_on() {
            LANE_YIELDS
        } else {
            0
        };
        match (self.pauses + 1).saturating_sub(yields) {
            0 => thread::yield_now(),
            n => thread::sleep(LANE_SLEEP * n.min(LANE_SLEEPS)),
        }
        self.pauses += 1;
    }
}
