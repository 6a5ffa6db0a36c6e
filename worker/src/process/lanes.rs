//! The mailbox as the rest of the process sees it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use mobula_store::{Heap, Loc};

use super::{die, table::Out, turn::Turn};
use crate::promise::ENGINE;
use mobula_protocol::{
    Decoded, Error,
    bell::Spin,
    mailbox::{LaneReader, OutWriter},
    message::{FromWorker, TaskMessage, ToWorker},
};

/// What this worker says to the driver.
#[derive(Debug)]
pub(crate) struct OutLane(pub(super) OutWriter);

impl Out for OutLane {
    fn push(&mut self, message: &FromWorker) {
        let Err(error) = self.0.send(message) else {
            return;
        };
        // A result that cannot be sent is the task's failure, and the lane goes on.
        let said = match message {
            FromWorker::Done {
                id, slot, attempt, ..
            } => self.0.send(&FromWorker::Done {
                id: *id,
                slot: *slot,
                attempt: *attempt,
                outcome: Err(Error::codec(format!(
                    "the result cannot be sent to the driver: {error}"
                ))),
            }),
            _ => Err(error),
        };
        if let Err(error) = said {
            unusable(&error);
        }
    }
}

/// What a task loop is to do.
#[derive(Debug)]
pub(super) enum Next {
    /// Run this.
    Task(TaskMessage),
    /// Drop decoded values of freed objects.
    Forget,
    /// End.
    Close,
}

/// Where tasks come from.
#[derive(Debug)]
pub(crate) struct TaskLane {
    pub(super) lane: LaneReader,
    pub(super) heap: Arc<Heap>,
}

impl TaskLane {
    /// Waits for something to do.
    pub(super) fn next(&mut self, closing: &AtomicBool, turn: &Turn, decoded: &Decoded) -> Next {
        let told = || closing.load(Ordering::SeqCst) || decoded.any_forgotten();
        loop {
            if closing.load(Ordering::SeqCst) {
                return Next::Close;
            }
            if decoded.any_forgotten() {
                return Next::Forget;
            }
            match self.lane.receive() {
                Ok(Some(ToWorker::Task(task))) => return Next::Task(task),
                Ok(Some(ToWorker::Free(locs))) => free(&self.heap, locs),
                Ok(Some(ToWorker::Actor { threads })) => turn.set_most(threads as usize),
                Ok(Some(other)) => unusable(&format!("a {other:?} came through the task lane")),
                Ok(None) => {
                    let work = || self.lane.ready() || told();
                    if !Spin::for_a_worker().until(work).is_ready() {
                        self.lane.bell().sleep(None, work);
                    }
                }
                Err(error) => unusable(&error),
            }
        }
    }
}

/// Frees extents of this worker's segment that the driver does not know any object in.
pub(super) fn free(heap: &Heap, locs: Vec<Loc>) {
    for loc in locs {
        if let Err(error) = heap.free(loc, ENGINE) {
            unusable(&error);
        }
    }
}

/// A mailbox that holds garbage says nothing any more: the driver must take this worker for dead.
pub(super) fn unusable(error: &dyn fmt::Display) -> ! {
    die(&format!(
        "the mailbox cannot be used any more: {error}; something wrote over shared memory"
    ))
}
