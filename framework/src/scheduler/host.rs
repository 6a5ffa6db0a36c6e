//! The scheduler's interface to its surroundings, and the error for invalid input.

use std::{
    fmt,
    sync::Weak,
    time::{Duration, Instant},
};

use mobula_protocol::{
    Attempt, ObjectHandle, ObjectId, Outcome, TaskSlot, Value, WorkerId,
    message::{ArgRef, TaskMessage, ToWorker},
};
use mobula_store::Loc;

use super::changes::TaskEvent;

/// The scheduler's requests to the surrounding driver. The order of the calls is the order of the
/// effects. The scheduler is locked during a call: no method may block, call the scheduler or run
/// user code.
pub(crate) trait Host {
    /// Reports a change of a task's state. The default does nothing.
    fn observe(&mut self, _: TaskEvent) {}

    /// Sends a task to the worker through its task lane.
    fn send_task(&mut self, worker: WorkerId, task: TaskMessage<ArgRef<'_>>);

    /// Sends a message to the worker through its control lane.
    fn send(&mut self, worker: WorkerId, message: ToWorker);

    /// Takes a sent task back. Returns `true` if the worker has not started the task and will not.
    /// The slot is then free for another attempt at once.
    fn revoke(&mut self, worker: WorkerId, slot: TaskSlot, attempt: Attempt) -> bool;

    /// Returns whether a dead worker had started the task. Live workers are not valid here.
    fn started(&mut self, worker: WorkerId, slot: TaskSlot, attempt: Attempt) -> bool;

    /// Completes an object with handles of the driver. The host wakes the waiters after the lock is
    /// released.
    fn complete(&mut self, id: ObjectId, entry: Weak<ObjectHandle>, outcome: Outcome);

    /// Frees stored bytes.
    fn free(&mut self, loc: Loc);

    /// Returns the current time.
    fn now(&mut self) -> Instant;

    /// Requests a call of [`Scheduler::on_time`](super::Scheduler::on_time) at this time or
    /// earlier.
    fn wake_at(&mut self, at: Instant);

    /// Starts one more worker.
    fn start_worker(&mut self);

    /// Turns the worker into an actor that runs `threads` calls at a time, before its next task.
    fn make_actor(&mut self, worker: WorkerId, threads: u32);

    /// Prints a line for the user on standard error.
    fn say(&mut self, line: String);

    /// Kills a worker, because of `why`.
    fn kill(&mut self, worker: WorkerId, why: String);

    /// Ends a run that does not end by itself, because of `why`. Returns whether the worker is
    /// killed. A surviving worker treats the run as blocked and continues with other tasks.
    fn end_run(&mut self, worker: WorkerId, _run: Attempt, why: String) -> bool {
        self.kill(worker, why);
        true
    }

    /// Kills a worker if it has not ended by itself after this time.
    fn end_within(&mut self, worker: WorkerId, grace: Duration);

    /// Closes shared memory in all processes that have it writable. With `then: None`, the host
    /// [frees](Host::free) the memory afterwards. Otherwise the host calls
    /// [`Scheduler::sealed`](super::Scheduler::sealed) with the content of `then`.
    fn close(&mut self, loc: Loc, then: Option<(ObjectId, Value)>);
}

/// An invalid message or call. The scheduler has not changed. A worker that sends one has damaged
/// memory or runs another program: the driver kills it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation(String);

impl Violation {
    #[cold]
    pub(super) fn new(text: impl Into<String>) -> Violation {
        Violation(text.into())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
