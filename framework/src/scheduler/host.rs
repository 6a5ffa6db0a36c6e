//! The scheduler's way out, and its complaint about what came in.

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

/// What the scheduler asks of the driver around it. Calls come in the order in which the effects
/// must take place, while the scheduler is locked: none may block, call the scheduler or run user
/// code.
pub(crate) trait Host {
    /// The state of a task has changed. A host that does not listen pays nothing.
    fn observe(&mut self, _: TaskEvent) {}

    /// Puts a task on the worker's task lane.
    fn send_task(&mut self, worker: WorkerId, task: TaskMessage<ArgRef<'_>>);

    /// Puts a message on the worker's control lane.
    fn send(&mut self, worker: WorkerId, message: ToWorker);

    /// Takes a task back that was sent. `true`: the worker has not started it and will not; the
    /// slot is free for another attempt at once.
    fn revoke(&mut self, worker: WorkerId, slot: TaskSlot, attempt: Attempt) -> bool;

    /// Whether a dead worker had started the task. Asked of dead workers only.
    fn started(&mut self, worker: WorkerId, slot: TaskSlot, attempt: Attempt) -> bool;

    /// An object for which the driver has handles is finished: those who wait for it are to be
    /// woken, after the lock is released.
    fn complete(&mut self, id: ObjectId, entry: Weak<ObjectHandle>, outcome: Outcome);

    /// These stored bytes are not used any more.
    fn free(&mut self, loc: Loc);

    /// What time it is.
    fn now(&mut self) -> Instant;

    /// [`Scheduler::on_time`](super::Scheduler::on_time) is to be called at this time, or earlier.
    fn wake_at(&mut self, at: Instant);

    /// Has one more worker started.
    fn start_worker(&mut self);

    /// The worker is an actor from now on, and runs so many calls at a time. Before its next task.
    fn make_actor(&mut self, worker: WorkerId, threads: u32);

    /// Says something to the user of the program, as a line on standard error.
    fn say(&mut self, line: String);

    /// Kills a worker, because of `why`.
    fn kill(&mut self, worker: WorkerId, why: String);

    /// Ends a run that does not end by itself, because of `why`. Whether that kills its worker.
    /// Otherwise the worker goes on beside the run, as if that were blocked.
    fn end_run(&mut self, worker: WorkerId, _run: Attempt, why: String) -> bool {
        self.kill(worker, why);
        true
    }

    /// Kills a worker if it has not ended by itself after this time.
    fn end_within(&mut self, worker: WorkerId, grace: Duration);

    /// Takes shared memory from all processes that have it writable. Afterwards it is
    /// [freed](Host::free), or [`Scheduler::sealed`](super::Scheduler::sealed) is called with what
    /// is given here.
    fn close(&mut self, loc: Loc, then: Option<(ObjectId, Value)>);
}

/// A message or call that makes no sense. The scheduler has not changed. From a worker it means
/// that its memory is damaged or its program is another one: the driver kills it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation(String);

impl Violation {
    pub(super) fn new(text: impl Into<String>) -> Violation {
        Violation(text.into())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
