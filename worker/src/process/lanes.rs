//! The lane that brings tasks.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use mobula_store::{Heap, Loc};

use super::turn::Turn;
use crate::{
    end::unusable,
    link::{Claims, Doorbell, Lane},
    promise::ENGINE,
};
use mobula_protocol::{
    Decoded, ObjectId,
    message::{TaskMessage, ToWorker},
    waiting::Spin,
};

/// The next step of a task loop.
#[derive(Debug)]
pub(super) enum Next {
    /// Run this task.
    Task(TaskMessage),
    /// Drop decoded values of freed objects.
    Forget,
    /// End the loop.
    Close,
}

/// The source of a worker's tasks.
#[derive(Debug)]
pub(crate) struct TaskLane<L> {
    pub(super) lane: L,
    pub(super) heap: Arc<Heap>,
    /// A task that was taken out of the lane to look at it.
    head: Option<TaskMessage>,
    spin: Spin,
}

impl<L: Lane> TaskLane<L> {
    pub(super) fn new(lane: L, heap: Arc<Heap>) -> TaskLane<L> {
        TaskLane {
            lane,
            heap,
            head: None,
            spin: Spin::of_a_worker(),
        }
    }

    /// Takes the next task, if there is one. Handles the messages before it.
    #[inline]
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

    /// Returns the first task in the lane that the driver has not taken back. Drops the tasks
    /// before it.
    pub(super) fn first_task(&mut self, turn: &Turn, state: &impl Claims) -> Option<ObjectId> {
        while let Some(task) = self.take(turn) {
            let id = task.id;
            if !(task.revocable && state.is_revoked(task.slot, task.attempt)) {
                self.head = Some(task);
                return Some(id);
            }
        }
        None
    }

    /// Blocks until there is something to do.
    #[inline]
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
            if !self.spin.until(work).is_ready() {
                self.lane.doorbell().sleep(None, work);
            }
        }
    }
}

/// Frees extents of this worker's segment in which the driver knows no object.
pub(super) fn free(heap: &Heap, locs: Vec<Loc>) {
    for loc in locs {
        if let Err(error) = heap.free(loc, ENGINE) {
            unusable(&error);
        }
    }
}
