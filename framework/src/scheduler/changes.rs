//! The changes of a task's state, as a host hears of them. They enter in [`events`](super::events).

use mobula_protocol::{Attempt, FunctionIndex, ObjectId, TaskSlot, WorkerId};

/// A change of a task's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskEvent {
    /// Which task. No other task ever has this number.
    pub(crate) task: TaskId,
    /// The id by which workers and errors know it. Two tasks have it where a run that has passed
    /// its limit of time ends beside the next run.
    pub(crate) id: ObjectId,
    pub(crate) function: FunctionIndex,
    pub(crate) change: TaskChange,
}

/// What has happened to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskChange {
    /// It is there, and waits for this many mentions of pending objects. With 0 it is ready.
    Submitted { missing: u32 },
    /// One more input is ready. It waits for this many further ones, at least 1.
    InputReady { missing: u32 },
    /// Its last input is ready.
    Ready,
    /// A worker has it, behind what that was given before.
    Assigned(Hand),
    /// The worker says that a run begins. Only tasks with a limit of time, and further runs after
    /// an error, are told of.
    Started(Hand),
    /// The worker does not have it any more. It is ready again.
    Returned(Hand),
    /// Its results have failed while the worker may run it.
    Abandoned(Hand),
    /// It is gone.
    Ended { failed: bool },
}

/// The number of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TaskId {
    pub(super) place: u32,
    pub(super) generation: u32,
}

/// In whose hands a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hand {
    pub(crate) worker: WorkerId,
    pub(crate) slot: TaskSlot,
    pub(crate) attempt: Attempt,
}
