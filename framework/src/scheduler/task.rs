//! A task that has not ended.

use mobula_protocol::{
    Attempt, Body, CallOptions, Error, Format, FunctionIndex, ObjectId, TaskOptions, TaskProgress,
    message::{ArgSpec, Args},
};

pub(super) use super::changes::Hand;
use super::{
    actors::ActorRole, functions::Function, needs::Claim, task_table::TaskId, timers::TimerKey,
};

/// A task that has not ended.
#[derive(Debug)]
pub(super) struct Task {
    /// The id by which workers and errors know it: its first result's, or the actor's that a
    /// constructor makes once more.
    pub(super) id: ObjectId,
    pub(super) outputs: Outputs,
    pub(super) args: Args<ArgSpec>,
    pub(super) function: FunctionIndex,
    /// The call's own options, if it has any.
    pub(super) options: CallOptions,
    /// How many more times it may run.
    pub(super) retries: u32,
    pub(super) state: TaskState,
    /// What it is to an actor.
    pub(super) role: Option<Box<ActorRole>>,
    /// A worker may have begun it, in whichever attempt, and have written to what it was lent.
    pub(super) begun: bool,
    /// On which dead workers it was.
    pub(super) losses: Losses,
    /// Its work is wanted, although nobody will ask for its result: see
    /// [`Scheduler::detach`](super::Scheduler::detach).
    pub(super) detached: bool,
    /// It has a place: see [`admission`](super::admission).
    pub(super) admitted: bool,
    /// Its arguments are values of its own, which refer to no object.
    pub(super) plain: bool,
    /// Which ready tasks it goes before.
    pub(super) priority: i32,
    /// The task that has made the call.
    pub(super) parent: Option<TaskId>,
    /// Its limits of time, if it has any.
    pub(super) timers: Option<Box<TaskTimers>>,
    /// Its resources, if it has any.
    pub(super) claim: Option<Box<Claim>>,
    /// How far this run of it is, if that has said so.
    pub(super) progress: Option<Box<(Attempt, TaskProgress)>>,
}

/// What happens at a given time unless a task has ended before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TaskTimers {
    /// The end of the run that it is in.
    pub(super) limit: Option<TimerKey>,
    /// Its own end.
    pub(super) deadline: Option<TimerKey>,
}

/// The objects that a task makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outputs {
    /// That of its id.
    One,
    /// That of its id, and the values of a [stream](super::queues), which is its last argument.
    Stream,
    /// None: nobody waits for its end.
    None,
}

/// Whether the arguments are inline values that refer to no object. A part of an array does.
pub(super) fn are_plain(args: &[ArgSpec]) -> bool {
    args.iter().all(|arg| match arg {
        ArgSpec::Value(value) => {
            matches!(value.body, Body::Inline(_))
                && value.items.is_empty()
                && !matches!(value.format, Format::Part { .. } | Format::Shared { .. })
        }
        ArgSpec::Object(_) | ArgSpec::Gather(_) => false,
    })
}

/// A task that stood behind others on this many dead workers counts as begun on the next one.
pub(super) const BEHIND: u8 = 64;

/// On how many dead workers a task was whose state words said that it had not begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Losses {
    /// Where it may have run.
    near: u8,
    /// Where it stood behind others.
    behind: u8,
}

impl Losses {
    /// Counts a further dead worker. `near`: the task may have run there. Whether it counts as
    /// begun.
    pub(super) fn count(&mut self, near: bool, limit: u8) -> bool {
        let (losses, limit) = match near {
            true => (&mut self.near, limit),
            false => (&mut self.behind, BEHIND),
        };
        *losses = losses.saturating_add(1);
        *losses >= limit
    }

    /// Adds to a crash error that nobody said that the task had begun.
    pub(super) fn explain(self, crash: Error, function: &str) -> Error {
        let workers = u32::from(self.near) + u32::from(self.behind);
        crash.context(format!(
            "`{function}` does not run again: it was on {workers} workers that died, and counts as \
             the cause, although no worker had said that it had begun"
        ))
    }
}

impl Task {
    /// A task that nobody has begun. It makes the object `id`, runs once, and is nothing to an
    /// actor.
    pub(super) fn new(
        id: ObjectId,
        function: FunctionIndex,
        args: Args<ArgSpec>,
        state: TaskState,
    ) -> Task {
        Task {
            id,
            outputs: Outputs::One,
            plain: are_plain(&args),
            args,
            function,
            options: None,
            retries: 0,
            state,
            role: None,
            begun: false,
            losses: Losses::default(),
            detached: false,
            admitted: false,
            priority: 0,
            parent: None,
            timers: None,
            claim: None,
            progress: None,
        }
    }

    /// Becomes a task such as [`new`](Task::new) makes. To write the fields one by one costs a
    /// third of what it costs to move a whole task into its place.
    #[inline]
    pub(super) fn become_new(
        &mut self,
        id: ObjectId,
        function: FunctionIndex,
        args: Args<ArgSpec>,
        plain: bool,
        state: TaskState,
    ) {
        self.id = id;
        self.outputs = Outputs::One;
        self.plain = plain;
        self.args = args;
        self.function = function;
        self.options = None;
        self.retries = 0;
        self.state = state;
        self.role = None;
        self.begun = false;
        self.losses = Losses::default();
        self.detached = false;
        self.admitted = false;
        self.priority = 0;
        self.parent = None;
        self.timers = None;
        self.claim = None;
        self.progress = None;
    }

    /// Its options: its own, or those of its function.
    pub(super) fn options<'a>(&'a self, functions: &'a [Function]) -> &'a TaskOptions {
        TaskOptions::of(
            &self.options,
            Function::options_of(functions, self.function),
        )
    }

    /// The object that it makes.
    pub(super) fn output(&self) -> Option<ObjectId> {
        match self.outputs {
            Outputs::One | Outputs::Stream => Some(self.id),
            Outputs::None => None,
        }
    }

    /// The stream that it fills.
    pub(super) fn stream(&self) -> Option<ObjectId> {
        match (self.outputs, self.args.last()) {
            (Outputs::Stream, Some(ArgSpec::Object(queue))) => Some(*queue),
            _ => None,
        }
    }

    /// The actor whose method it calls.
    pub(super) fn actor(&self) -> Option<ObjectId> {
        match self.role.as_deref() {
            Some(ActorRole::Call(call)) => Some(call.actor),
            _ => None,
        }
    }
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TaskState {
    /// In the dependents of pending objects, this many times.
    Waiting { missing: u32 },
    /// In the ready queue, or that of an actor.
    Ready,
    /// With a worker, which may have begun it.
    Queued(Hand),
    /// With a worker, which has said that it runs: see
    /// [`TaskChange::Started`](super::changes::TaskChange).
    Running(Hand),
    /// With a worker, which may run it. Its results have failed, and its end is nobody's. The
    /// worker still reads its arguments.
    Abandoned(Hand),
}

impl TaskState {
    /// The worker that has it.
    pub(super) fn hand(self) -> Option<Hand> {
        match self {
            TaskState::Queued(hand) | TaskState::Running(hand) | TaskState::Abandoned(hand) => {
                Some(hand)
            }
            TaskState::Waiting { .. } | TaskState::Ready => None,
        }
    }

    /// The worker that has it, if its end is somebody's.
    pub(super) fn assigned(self) -> Option<Hand> {
        match self {
            TaskState::Queued(hand) | TaskState::Running(hand) => Some(hand),
            TaskState::Waiting { .. } | TaskState::Ready | TaskState::Abandoned(_) => None,
        }
    }
}

/// How many tasks are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TaskCounts {
    /// An input is not there yet.
    pub(crate) waiting: usize,
    /// No worker has them yet.
    pub(crate) ready: usize,
    /// A worker has them, running or ahead.
    pub(crate) queued: usize,
    /// A worker has them, and their results have failed.
    pub(crate) abandoned: usize,
}

impl TaskCounts {
    /// All unfinished tasks but the abandoned ones.
    pub(crate) fn total(self) -> usize {
        self.waiting + self.ready + self.queued
    }

    /// The number that counts tasks in that state.
    pub(super) fn of(&mut self, state: TaskState) -> &mut usize {
        match state {
            TaskState::Waiting { .. } => &mut self.waiting,
            TaskState::Ready => &mut self.ready,
            TaskState::Queued(_) | TaskState::Running(_) => &mut self.queued,
            TaskState::Abandoned(_) => &mut self.abandoned,
        }
    }
}
