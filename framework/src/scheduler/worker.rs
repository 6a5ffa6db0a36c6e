//! A worker, as the scheduler sees it.

use std::{
    collections::{HashSet, VecDeque},
    hash::BuildHasherDefault,
};

use mobula_protocol::{Attempt, IdMap, ObjectId, TaskSlot, waiting::STUCK_ROUNDS};
use mobula_store::NumberHasher;

use super::{
    claims::Told, keepers::Keeping, needs::Grant, ready::Siblings, task_table::TaskId, term::Term,
};

/// How far a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WorkerState {
    /// Started; it has not said anything yet.
    Starting,
    /// It takes tasks.
    Up,
    /// It takes no further tasks, and ends when those that it has have ended: see
    /// [`recycle`](super::recycle).
    Retiring,
    /// It finishes what it has begun.
    ShuttingDown,
}

/// The highest [rank](Worker::rank) of a worker where nothing runs or could run.
pub(super) const IDLE: u32 = 1;

/// A task in a worker's hands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Assignment {
    pub(super) attempt: Attempt,
    pub(super) task: TaskId,
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
    /// How many of its tasks have resources and use their cores.
    pub(super) claims: u32,
    /// It takes no plain tasks, so that tasks with resources have cores.
    pub(super) closed: bool,
    /// What the ended actor had got that it was. Nobody else gets it before the process is dead.
    pub(super) grant: Option<Box<Grant>>,
    /// It is being killed because of one of its tasks: the others are not to blame.
    pub(super) killed: bool,
    /// How many tasks it gets at most, beside those that are blocked.
    pub(super) depth: u32,
    /// What the worker holds, and whether the hold is a pin too.
    pub(super) held: IdMap<Hold>,
    /// The ids that it was told of; made when that is asked.
    pub(super) told: Told,
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
    /// Whether it keeps calls to itself.
    pub(super) keeping: Keeping,
    /// When it is replaced.
    pub(super) term: Term,
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
            claims: 0,
            closed: false,
            grant: None,
            killed: false,
            depth,
            held: IdMap::default(),
            told: Told::default(),
            watches: HashSet::default(),
            children: Siblings::default(),
            seat,
            room: None,
            ended: false,
            quiet: STUCK_ROUNDS,
            active: false,
            stealable: false,
            keeping: Keeping::default(),
            term: Term::default(),
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
            && !self.closed
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

    /// Has another task stand for a hand-over.
    pub(super) fn reassign(&mut self, attempt: Attempt, task: TaskId) {
        if let Some(at) = self.position(attempt) {
            self.assignments[at].task = task;
        }
    }

    /// Ends a hand-over and frees its slot.
    pub(super) fn complete(&mut self, attempt: Attempt) -> Option<Assignment> {
        let index = self.position(attempt)?;
        let assignment = self.assignments.remove(index)?;
        self.free_slots.push(assignment.slot);
        Some(assignment)
    }
}
