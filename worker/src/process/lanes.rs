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
    Decoded, Error, ObjectId,
    bell::Spin,
    mailbox::{LaneReader, OutWriter, WorkerState},
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
    /// A task that was taken out of the lane to look at it.
    head: Option<TaskMessage>,
}

impl TaskLane {
    pub(super) fn new(lane: LaneReader, heap: Arc<Heap>) -> TaskLane {
        TaskLane {
            lane,
            heap,
            head: None,
        }
    }

    /// The next task, if one is there. Does what other messages say.
    fn take(&mut self, turn: &Turn) -> Option<TaskMessage> {
        if let Some(task) = self.head.take() {
            return Some(task);
        }
        loop {
            match self.lane.receive() {
                Ok(Some(ToWorker::Task(task))) => return Some(task),
                Ok(Some(ToWorker::Free(locs))) => free(&self.heap, locs),
                Ok(Some(ToWorker::Actor { threads })) => turn.set_most(threads as usize),
                Ok(Some(other)) => unusable(&format!("a {other:?} came through the task lane")),
                Ok(None) => return None,
                Err(error) => unusable(&error),
            }
        }
    }

    /// The first task in the lane that the driver has not taken back. Drops those that it has.
    pub(super) fn first_task(&mut self, turn: &Turn, state: &WorkerState) -> Option<ObjectId> {
        while let Some(task) = self.take(turn) {
            let id = task.id;
            if !(task.revocable && state.is_revoked(task.slot, task.attempt)) {
                self.head = Some(task);
                return Some(id);
            }
        }
        None
    }

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
            if let Some(task) = self.take(turn) {
                return Next::Task(task);
            }
            let work = || self.lane.ready() || told();
            if !Spin::for_a_worker().until(work).is_ready() {
                self.lane.bell().sleep(None, work);
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
