//! What the scheduler knows about an object, a task and a worker.

use std::{
    collections::{HashSet, VecDeque},
    hash::BuildHasherDefault,
    sync::{Arc, Weak},
};

use mobula_protocol::{
    Attempt, Body, CallOptions, Error, Format, FunctionIndex, IdMap, ObjectHandle, ObjectId,
    Outcome, TaskOptions, TaskSlot, Value, WorkerId,
    message::{ArgSpec, Args},
};
use mobula_store::NumberHasher;

use super::{actors::Part, claims::Told, functions::Function, pack::PATIENCE, ready::Siblings};

/// An object. Who relies on it is counted here and listed where it is relied upon.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) state: ObjectState,
    /// How many places need it to exist; `handles` is part of it.
    pub(super) refs: u64,
    /// Handles of the driver.
    pub(super) handles: u32,
    /// How many places use its bytes where they lie.
    pub(super) pins: u32,
    /// The driver's handle, to be told the end of the task.
    pub(super) entry: Weak<ObjectHandle>,
}

/// How far an object is. It never goes back.
#[derive(Debug)]
pub(super) enum ObjectState {
    /// The task will make it. Boxed, since finished objects outnumber tasks in long programs.
    Pending(Box<Task>),
    Ready(Arc<Value>),
    Failed(Error),
}

impl Object {
    pub(super) fn outcome(&self) -> Option<Outcome> {
        match &self.state {
            ObjectState::Pending(_) => None,
            ObjectState::Ready(value) => Some(Ok(Arc::clone(value))),
            ObjectState::Failed(error) => Some(Err(error.clone())),
        }
    }

    pub(super) fn value(&self) -> Option<&Arc<Value>> {
        match &self.state {
            ObjectState::Ready(value) => Some(value),
            _ => None,
        }
    }

    pub(super) fn task(&self) -> Option<&Task> {
        match &self.state {
            ObjectState::Pending(task) => Some(task),
            _ => None,
        }
    }

    pub(super) fn task_mut(&mut self) -> Option<&mut Task> {
        match &mut self.state {
            ObjectState::Pending(task) => Some(task),
            _ => None,
        }
    }

    /// Whether the object can go.
    pub(super) fn is_unused(&self) -> bool {
        self.refs == 0 && !matches!(self.state, ObjectState::Pending(_))
    }
}

/// A task that has not ended. Its id is that of its object.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) args: Args<ArgSpec>,
    pub(super) function: FunctionIndex,
    /// The call's own options, if it has any.
    pub(super) options: CallOptions,
    /// How many more times it may run.
    pub(super) retries: u32,
    pub(super) state: TaskState,
    /// What it is to an actor.
    pub(super) part: Option<Box<Part>>,
    /// A worker may have begun it, in whichever attempt, and have written to what it was lent.
    pub(super) begun: bool,
    /// On which dead workers it was.
    pub(super) losses: Losses,
    /// Its work is wanted, although nobody will ask for its result: see
    /// [`Scheduler::detach`](super::Scheduler::detach).
    pub(super) detached: bool,
    /// Its arguments are values of its own, which refer to no object.
    pub(super) plain: bool,
    /// Who waits for it. Most tasks are waited for by the driver's handle alone, and there can be a
    /// million of them.
    pub(super) followers: Option<Box<Followers>>,
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

/// Who waits for a task.
#[derive(Debug, Default)]
pub(super) struct Followers {
    /// Tasks, once for each mention. A task that has failed meanwhile is not struck off; it is
    /// passed over in the end.
    pub(super) dependents: Vec<ObjectId>,
    /// Workers that want to be told.
    pub(super) watchers: Vec<WorkerId>,
}

impl Task {
    /// A task that nobody has begun, and nobody waits for. It runs once, and is nothing to an
    /// actor.
    pub(super) fn new(function: FunctionIndex, args: Args<ArgSpec>, state: TaskState) -> Task {
        Task {
            plain: are_plain(&args),
            args,
            function,
            options: None,
            retries: 0,
            state,
            part: None,
            begun: false,
            losses: Losses::default(),
            detached: false,
            followers: None,
        }
    }

    /// Its options: its own, or those of its function.
    pub(super) fn options<'a>(&'a self, functions: &'a [Function]) -> &'a TaskOptions {
        TaskOptions::of(
            &self.options,
            Function::options_of(functions, self.function),
        )
    }

    /// Where one more is to be entered who waits for it.
    pub(super) fn more_followers(&mut self) -> &mut Followers {
        self.followers.get_or_insert_default()
    }
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TaskState {
    /// In the dependents of pending objects, this many times.
    Waiting { missing: u32 },
    /// In the ready queue.
    Ready,
    /// With a worker, running or ahead.
    Queued {
        worker: WorkerId,
        slot: TaskSlot,
        attempt: Attempt,
    },
}

/// How many unfinished tasks are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TaskCounts {
    /// An input is not there yet.
    pub(crate) waiting: usize,
    /// No worker has them yet.
    pub(crate) ready: usize,
    /// A worker has them, running or ahead.
    pub(crate) queued: usize,
}

impl TaskCounts {
    /// All unfinished tasks.
    pub(crate) fn total(self) -> usize {
        self.waiting + self.ready + self.queued
    }

    /// The number for tasks in that state.
    pub(super) fn of(&mut self, state: TaskState) -> &mut usize {
        match state {
            TaskState::Waiting { .. } => &mut self.waiting,
            TaskState::Ready => &mut self.ready,
            TaskState::Queued { .. } => &mut self.queued,
        }
    }
}

/// How far a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WorkerState {
    /// Started; it has not said anything yet.
    Starting,
    /// It takes tasks.
    Up,
    /// It finishes what it has begun.
    ShuttingDown,
}

/// The highest [rank](Worker::rank) of a worker where nothing runs or could run.
pub(super) const IDLE: u32 = 1;

/// A task in a worker's hands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Assignment {
    pub(super) attempt: Attempt,
    pub(super) task: ObjectId,
    pub(super) slot: TaskSlot,
}

/// A worker process that is not known to be dead.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) state: WorkerState,
    /// The actor that it is, or was.
    pub(super) actor: Option<ObjectId>,
    /// What was handed over and has not ended, in the order of the attempts, which is the order in
    /// which the worker takes the tasks up.
    pub(super) assignments: VecDeque<Assignment>,
    /// The number for the next hand-over.
    pub(super) next_attempt: u64,
    /// Slots that were used before and are free.
    pub(super) free_slots: Vec<TaskSlot>,
    /// Slots from this one on have never been used.
    pub(super) fresh_slot: u32,
    /// Threads of the worker that wait in `get` and have given up their place.
    pub(super) blocked: u32,
    /// All that it has wait, and it has no thread to take further tasks with.
    pub(super) stalled: bool,
    /// How many tasks it gets at most, beside those that are blocked.
    pub(super) depth: u32,
    /// What the worker holds, and whether the hold is a pin too.
    pub(super) held: IdMap<Hold>,
    /// The ids that it was told of; made when that is asked.
    pub(super) told: Told,
    /// Arguments of tasks that were failed while it ran them. It may still read them.
    pub(super) left: Vec<Args<ArgSpec>>,
    /// Pending objects whose end the worker wants to be told.
    pub(super) watches: HashSet<ObjectId, BuildHasherDefault<NumberHasher>>,
    /// Where tasks that it spawns go; begun anew whenever the worker turns to another task.
    pub(super) children: Siblings,
    /// Its place in the list of workers by load.
    pub(super) seat: usize,
    /// Its [rank](Worker::rank) in [`room`](super::Scheduler::room), while it is listed there.
    pub(super) room: Option<u32>,
    /// It has ended a task in this round.
    pub(super) ended: bool,
    /// In how many rounds in a row before it had ended none.
    pub(super) quiet: u8,
    /// It gets short tasks: see [`pack`](super::pack).
    pub(super) active: bool,
    /// Whether it counts in [`stealable`](super::Scheduler::stealable).
    pub(super) stealable: bool,
}

/// That a worker holds an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hold {
    /// The worker knows where the bytes are.
    pub(super) pinned: bool,
}

impl Worker {
    /// A worker that was just started and may have `depth` tasks.
    pub(super) fn new(depth: u32, seat: usize) -> Worker {
        Worker {
            state: WorkerState::Starting,
            actor: None,
            assignments: VecDeque::new(),
            next_attempt: 0,
            free_slots: Vec::new(),
            fresh_slot: 0,
            blocked: 0,
            stalled: false,
            depth,
            held: IdMap::default(),
            told: Told::default(),
            left: Vec::new(),
            watches: HashSet::default(),
            children: Siblings::default(),
            seat,
            room: None,
            ended: false,
            quiet: PATIENCE,
            active: false,
            stealable: false,
        }
    }

    /// How many of its tasks have begun or may have begun, if it runs so many at a time. It takes
    /// them up in the order of its flights.
    pub(super) fn near(&self, at_a_time: u32) -> usize {
        let near = self.blocked.saturating_add(at_a_time);
        usize::try_from(near).unwrap_or(usize::MAX)
    }

    /// How many of its tasks run or could run. Threads that a task started itself may block too, so
    /// there can be more blocked threads than tasks.
    pub(super) fn load(&self) -> u32 {
        let tasks = u32::try_from(self.assignments.len()).unwrap_or(u32::MAX);
        tasks.saturating_sub(self.blocked)
    }

    /// Its place among the workers that take tasks: by load, and of one load those first where no
    /// task waits. A task would keep the worker's turn from one that waits there, which may want to
    /// go on first, as an asynchronous one whose timer ends.
    pub(super) fn rank(&self) -> u32 {
        2 * self.load() + u32::from(self.blocked > 0)
    }

    /// Whether it takes a further task.
    pub(super) fn has_room(&self, slots: u32) -> bool {
        self.state == WorkerState::Up
            && self.actor.is_none()
            && !self.stalled
            && self.load() < self.depth
            && self.has_slot(slots)
    }

    /// Whether it has a state word left for a further task.
    pub(super) fn has_slot(&self, slots: u32) -> bool {
        !self.free_slots.is_empty() || self.fresh_slot < slots
    }

    /// A slot that is free. Only where [`has_room`](Worker::has_room).
    pub(super) fn take_slot(&mut self) -> TaskSlot {
        self.free_slots.pop().unwrap_or_else(|| {
            self.fresh_slot += 1;
            TaskSlot(self.fresh_slot - 1)
        })
    }

    /// Slot and number for a hand-over. Only where [`has_slot`](Worker::has_slot).
    pub(super) fn next_assignment(&mut self) -> (TaskSlot, Attempt) {
        let slot = self.take_slot();
        let attempt = Attempt(self.next_attempt);
        self.next_attempt += 1;
        (slot, attempt)
    }

    /// What became of a hand-over, while it has not ended.
    pub(super) fn assignment(&self, attempt: Attempt) -> Option<&Assignment> {
        self.assignments.get(self.position(attempt)?)
    }

    fn position(&self, attempt: Attempt) -> Option<usize> {
        // Mostly it is the oldest.
        if self.assignments.front()?.attempt == attempt {
            return Some(0);
        }
        self.assignments
            .binary_search_by_key(&attempt, |assignment| assignment.attempt)
            .ok()
    }

    /// Ends a hand-over and frees its slot.
    pub(super) fn complete(&mut self, attempt: Attempt) -> Option<Assignment> {
        let index = self.position(attempt)?;
        let assignment = self.assignments.remove(index)?;
        self.free_slots.push(assignment.slot);
        Some(assignment)
    }
}
