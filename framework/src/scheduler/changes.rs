//! The changes of a task's state that a host observes. [`events`](super::events) emits them.

use mobula_protocol::{Attempt, FunctionIndex, ObjectId, TaskSlot, WorkerId};

/// A change of a task's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskEvent {
    /// The number of the task, which no other task reuses.
    pub(crate) task: TaskId,
    /// The task's id for workers and errors. A timed-out run that ends beside the next run shares
    /// the id with it.
    pub(crate) id: ObjectId,
    pub(crate) function: FunctionIndex,
    pub(crate) change: TaskChange,
}

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskChange {
    /// The task waits for `missing` mentions of pending objects. A task with 0 is ready.
    Submitted { missing: u32 },
    /// One more input is ready. The task waits for `missing` further inputs, at least 1.
    InputReady { missing: u32 },
    /// The last input is ready.
    Ready,
    /// A worker has the task, behind the tasks assigned earlier.
    Assigned(Hand),
    /// The worker reports the start of a run. Workers report only tasks with a time limit and
    /// retries after an error.
    Started(Hand),
    /// The task has left the worker and is ready again.
    Returned(Hand),
    /// The results have failed while the worker may run the task.
    Abandoned(Hand),
    /// The task has ended.
    Ended { failed: bool },
}

/// The number of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TaskId {
    pub(super) place: u32,
    pub(super) generation: u32,
}

/// The worker, slot and attempt of an assigned task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hand {
    pub(crate) worker: WorkerId,
    pub(crate) slot: TaskSlot,
    pub(crate) attempt: Attempt,
}
