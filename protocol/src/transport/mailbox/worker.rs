//! The worker's end of a mailbox.

use std::{thread, time::Duration};

use super::{
    MailboxError, Parts, TransportError, WorkerPanicked, WorkerPrinted, WorkerState, check_header,
    trim,
};
use crate::{
    bell::{Bell, DriverBell},
    message::{FromWorker, ToWorker},
    primitive::Region,
    ring::{Consumer, Producer},
    waiting::{LANE_SLEEP, LANE_SLEEPS, LANE_YIELDS, Mechanism},
    wire,
};

/// The worker's end, to be taken apart: the lanes are read by different threads, and the out lane
/// stands behind a mutex.
#[derive(Debug)]
pub struct WorkerEnd {
    /// Tasks.
    pub task: LaneReader,
    /// All else.
    pub control: LaneReader,
    /// What this worker says.
    pub out: OutWriter,
    /// What this worker starts and runs.
    pub state: WorkerState,
    /// How far the driver is with what this worker has printed.
    pub printed: WorkerPrinted,
    /// Where this worker says how it panics.
    pub panicked: WorkerPanicked,
}

impl WorkerEnd {
    /// Opens a mailbox that the driver has made. Once for each mailbox.
    ///
    /// # Errors
    /// [`MailboxError`], if the memory is none.
    pub fn open(memory: &Region, driver: &DriverBell) -> Result<WorkerEnd, MailboxError> {
        let parts = Parts::of(memory)?;
        check_header(memory)?;
        let reader = |ring: Consumer, bell| LaneReader {
            ring,
            bell,
            driver: driver.clone(),
            buffer: Vec::new(),
        };
        Ok(WorkerEnd {
            task: reader(parts.task.consumer(), parts.task_bell),
            control: reader(parts.control.consumer(), parts.control_bell),
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

/// A lane to this worker, for the side that reads.
#[derive(Debug)]
pub struct LaneReader {
    ring: Consumer,
    bell: Bell,
    /// To be rung when the driver waits for room in the lane.
    driver: DriverBell,
    /// For arriving messages.
    buffer: Vec<u8>,
}

impl LaneReader {
    /// The next message, if there is one. Never blocks.
    ///
    /// # Errors
    /// What arrived is no message. The lane is of no further use, and neither is this worker.
    pub fn receive(&mut self) -> Result<Option<ToWorker>, TransportError> {
        trim(&mut self.buffer);
        let some = self.ring.pop(&mut self.buffer)?;
        if self.ring.take_wake_producer() {
            self.driver.ring();
        }
        if !some {
            return Ok(None);
        }
        Ok(Some(wire::decode_to_worker(&self.buffer)?))
    }

    /// Whether [`receive`](LaneReader::receive) has something to do. One to three loads.
    pub fn ready(&self) -> bool {
        self.ring.ready()
    }

    /// The lane's bell, for threads that share the reader behind a mutex: they sleep on it with
    /// [`ready`](LaneReader::ready) as a part of the condition, and ring it to wake each other. At
    /// most one may sleep on it at a time.
    pub fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Waits until [`receive`](LaneReader::receive) has something to do, somebody rings, or the
    /// timeout has passed; returns early now and then.
    pub fn wait(&self, timeout: Option<Duration>) {
        self.bell.sleep(timeout, || self.ready());
    }
}

/// The lane from this worker.
///
/// It waits when the ring is full. That ends: the driver drains the ring without waiting for
/// anything, and a worker whose driver is gone is killed by its own watch.
#[derive(Debug)]
pub struct OutWriter {
    ring: Producer,
    driver: DriverBell,
    /// For encoding.
    buffer: Vec<u8>,
}

impl OutWriter {
    /// Takes a message; it becomes visible with the next [`flush`](OutWriter::flush), or before.
    ///
    /// # Errors
    /// A message that cannot be encoded or is too long is not sent, and the lane goes on. A corrupt
    /// ring is of no further use.
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

    /// Makes visible what was staged, and rings the driver if there is news.
    pub fn flush(&mut self) {
        if self.ring.publish() {
            self.driver.ring();
        }
    }

    /// [`stage`](OutWriter::stage) and [`flush`](OutWriter::flush).
    ///
    /// # Errors
    /// As for `stage`.
    pub fn send(&mut self, message: &FromWorker) -> Result<(), TransportError> {
        self.stage(message)?;
        self.flush();
        Ok(())
    }
}

/// How to wait for a driver that drains rings: it needs some tens of microseconds for a full one.
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
