//! The record of an unfinished task.

use mobula_protocol::{
    Attempt, Body, CallOptions, Error, Format, FunctionIndex, ObjectId, TaskOptions, TaskProgress,
    message::{ArgSpec, Args},
};

pub(super) use super::changes::Hand;
use super::{
    actors::ActorRole, functions::Function, needs::Claim, task_table::TaskId, timers::TimerKey,
};

/// An unfinished task.
#[derive(Debug)]
pub(super) struct Task {
    /// The task's id for workers and errors. It is the id of the first result, or of the actor
    /// whose constructor runs again.
    pub(super) id: ObjectId,
    pub(super) outputs: Outputs,
    pub(super) args: Args<ArgSpec>,
    pub(super) function: FunctionIndex,
    /// The call's own options, if any.
    pub(super) options: CallOptions,
    /// Number of retries left.
    pub(super) retries: u32,
    pub(super) state: TaskState,
    /// A worker may have begun the task in some attempt, and may have written to memory lent to it.
    pub(super) begun: bool,
    /// The deaths of workers that had the task.
    pub(super) losses: Losses,
    /// The task runs although nobody asks for its result: see
    /// [`Scheduler::detach`](super::Scheduler::detach).
    pub(super) detached: bool,
    /// The task has a place: see [`admission`](super::admission).
    pub(super) admitted: bool,
    /// The arguments are inline values that refer to no object.
    pub(super) plain: bool,
    /// The priority among ready tasks. Higher priorities go first.
    pub(super) priority: i32,
    /// The task that made the call.
    pub(super) parent: Option<TaskId>,
    /// The parts that most tasks do not have. A task without them takes less of the caches.
    extra: Option<Box<Extra>>,
}

/// The parts of a task that most tasks do not have.
#[derive(Debug, Default)]
pub(super) struct Extra {
    /// The role of the task for an actor.
    pub(super) role: Option<ActorRole>,
    pub(super) timers: Option<Box<TaskTimers>>,
    /// The task's resources.
    pub(super) claim: Option<Box<Claim>>,
    /// The progress that a run of the task has reported.
    pub(super) progress: Option<Box<(Attempt, TaskProgress)>>,
}

/// The timers of a task.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TaskTimers {
    /// The time limit of the current run.
    pub(super) limit: Option<TimerKey>,
    /// The deadline of the task.
    pub(super) deadline: Option<TimerKey>,
}

/// The objects that a task makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outputs {
    /// The object of the task's id.
    One,
    /// The object of the task's id, and the values of a [stream](super::queues), which is the last
    /// argument.
    Stream,
    /// No object: nobody waits for the end of the task.
    None,
}

/// Returns whether all arguments are inline values that refer to no object. Parts of arrays refer
/// to one.
pub(super) fn are_plain(args: &[ArgSpec]) -> bool {
    args.iter().all(|arg| match arg {
        ArgSpec::Value(value) => {
            matches!(value.body, Body::Inline(_))
                && value.attachments.is_empty()
                && !matches!(value.format, Format::Part { .. } | Format::Shared { .. })
        }
        ArgSpec::Object(_) | ArgSpec::Gather(_) => false,
    })
}

/// A task that was behind others on this many dead workers counts as begun on the last of them.
pub(super) const BEHIND: u8 = 64;

/// The number of dead workers that had the task while the state words showed no start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Losses {
    /// Workers on which the task may have run.
    near: u8,
    /// Workers on which the task was behind others.
    behind: u8,
}

impl Losses {
    /// Counts a further dead worker. `near`: the task may have run there. Returns whether the task
    /// counts as begun.
    pub(super) fn count(&mut self, near: bool, limit: u8) -> bool {
        let (losses, limit) = match near {
            true => (&mut self.near, limit),
            false => (&mut self.behind, BEHIND),
        };
        *losses = losses.saturating_add(1);
        *losses >= limit
    }

    /// Adds to a crash error that no worker reported the start of the task.
    pub(super) fn explain(self, crash: Error, function: &str) -> Error {
        let workers = u32::from(self.near) + u32::from(self.behind);
        crash.context(format!(
            "`{function}` does not run again: it was on {workers} workers that died, and counts as \
             the cause, although no worker had said that it had begun"
        ))
    }
}

impl Task {
    /// Makes a task that no worker has begun. The task makes the object `id`, runs once, and has no
    /// role for an actor.
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
            begun: false,
            losses: Losses::default(),
            detached: false,
            admitted: false,
            priority: 0,
            parent: None,
            extra: None,
        }
    }

    /// Resets the task to the state that [`new`](Task::new) makes. Writing the fields one by one
    /// costs a third of moving a whole task.
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
        self.begun = false;
        self.losses = Losses::default();
        self.detached = false;
        self.admitted = false;
        self.priority = 0;
        self.parent = None;
        self.extra = None;
    }

    /// Returns the parts that most tasks do not have, if this task has any.
    #[inline]
    pub(super) fn extra(&self) -> Option<&Extra> {
        self.extra.as_deref()
    }

    /// Returns these parts, for an addition.
    pub(super) fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Takes these parts out.
    #[inline]
    pub(super) fn take_extra(&mut self) -> Option<Box<Extra>> {
        self.extra.take()
    }

    /// Returns the role of the task for an actor.
    #[inline]
    pub(super) fn role(&self) -> Option<&ActorRole> {
        self.extra()?.role.as_ref()
    }

    /// Returns the task's resources, if it needs any.
    pub(super) fn claim(&self) -> Option<&Claim> {
        self.extra()?.claim.as_deref()
    }

    /// Takes the task's resources out.
    pub(super) fn take_claim(&mut self) -> Option<Box<Claim>> {
        self.extra.as_mut()?.claim.take()
    }

    pub(super) fn claim_mut(&mut self) -> Option<&mut Claim> {
        self.extra.as_mut()?.claim.as_deref_mut()
    }

    pub(super) fn timers_mut(&mut self) -> Option<&mut TaskTimers> {
        self.extra.as_mut()?.timers.as_deref_mut()
    }

    /// Returns the task's time limits, for an addition.
    pub(super) fn more_timers(&mut self) -> &mut TaskTimers {
        self.extra_mut().timers.get_or_insert_default()
    }

    /// Returns the task's own options, or the options of its function.
    pub(super) fn options<'a>(&'a self, functions: &'a [Function]) -> &'a TaskOptions {
        TaskOptions::of(
            &self.options,
            Function::options_of(functions, self.function),
        )
    }

    /// Returns the object that the task makes.
    pub(super) fn output(&self) -> Option<ObjectId> {
        match self.outputs {
            Outputs::One | Outputs::Stream => Some(self.id),
            Outputs::None => None,
        }
    }

    /// Returns the stream that the task fills.
    pub(super) fn stream(&self) -> Option<ObjectId> {
        if self.outputs != Outputs::Stream {
            return None;
        }
        match self.args.last() {
            Some(ArgSpec::Object(queue)) => Some(*queue),
            _ => None,
        }
    }

    /// Returns the actor whose method the task calls.
    pub(super) fn actor(&self) -> Option<ObjectId> {
        match self.role() {
            Some(ActorRole::Call(call)) => Some(call.actor),
            _ => None,
        }
    }
}

/// The state of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TaskState {
    /// The dependents of pending objects list the task this many times.
    Waiting { missing: u32 },
    /// The task is in the ready queue or in the queue of an actor.
    Ready,
    /// A worker has the task and may have begun it.
    Queued(Hand),
    /// A worker has reported the start of the task: see
    /// [`TaskChange::Started`](super::changes::TaskChange).
    Running(Hand),
    /// A worker may run the task, and still reads the arguments. The results have failed, and
    /// nobody waits for the end.
    Abandoned(Hand),
}

impl TaskState {
    /// Returns the assignment of the task.
    pub(super) fn hand(self) -> Option<Hand> {
        match self {
            TaskState::Queued(hand) | TaskState::Running(hand) | TaskState::Abandoned(hand) => {
                Some(hand)
            }
            TaskState::Waiting { .. } | TaskState::Ready => None,
        }
    }

    /// Returns the assignment of the task unless the task is abandoned.
    pub(super) fn assigned(self) -> Option<Hand> {
        match self {
            TaskState::Queued(hand) | TaskState::Running(hand) => Some(hand),
            TaskState::Waiting { .. } | TaskState::Ready | TaskState::Abandoned(_) => None,
        }
    }
}

/// The number of tasks by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TaskCounts {
    /// Tasks with a pending input.
    pub(crate) waiting: usize,
    /// Ready tasks without a worker.
    pub(crate) ready: usize,
    /// Tasks on a worker, running or not.
    pub(crate) queued: usize,
    /// Tasks on a worker whose results have failed.
    pub(crate) abandoned: usize,
}

impl TaskCounts {
    /// Returns the number of unfinished tasks without abandoned tasks.
    pub(crate) fn total(self) -> usize {
        self.waiting + self.ready + self.queued
    }

    /// Returns the counter of tasks in this state.
    pub(super) fn of(&mut self, state: TaskState) -> &mut usize {
        match state {
            TaskState::Waiting { .. } => &mut self.waiting,
            TaskState::Ready => &mut self.ready,
            TaskState::Queued(_) | TaskState::Running(_) => &mut self.queued,
            TaskState::Abandoned(_) => &mut self.abandoned,
        }
    }
}
