//! The scheduler's record of a worker.

use std::{
    collections::{HashSet, VecDeque},
    hash::BuildHasherDefault,
};

use mobula_protocol::{Attempt, IdMap, ObjectId, TaskSlot, waiting::STUCK_ROUNDS};
use mobula_store::NumberHasher;

use super::{
    claims::Told, keepers::Keeping, needs::Grant, ready::Siblings, task_table::TaskId, term::Term,
    worker_index::WorkerIndex,
};

/// The state of a worker's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WorkerState {
    /// The process was started and has not registered.
    Starting,
    /// The worker takes tasks.
    Up,
    /// The worker takes no further tasks and ends after its assigned tasks: see
    /// [`recycle`](super::recycle).
    Retiring,
    /// The worker finishes the tasks that it has begun.
    ShuttingDown,
}

/// The highest [rank](Worker::rank) of a worker without running or runnable tasks.
pub(super) const IDLE: u32 = 1;

/// A task on a worker.
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
    /// The actor that the worker runs or ran.
    pub(super) actor: Option<ObjectId>,
    /// The unfinished assignments in the order of the attempts. The worker starts the tasks in this
    /// order.
    pub(super) assignments: VecDeque<Assignment>,
    /// The number of the next attempt.
    pub(super) next_attempt: u64,
    /// Used slots that are free again.
    pub(super) free_slots: Vec<TaskSlot>,
    /// The first slot that was never used.
    pub(super) fresh_slot: u32,
    /// Number of the worker's threads that wait in `get` and have given up their turn.
    pub(super) blocked: u32,
    /// All tasks of the worker wait, and no thread is left for further tasks.
    pub(super) stalled: bool,
    /// Number of its tasks that have resources and use their cores.
    pub(super) claims: u32,
    /// The worker takes no plain tasks, so that tasks with resources have cores.
    pub(super) closed: bool,
    /// The resources of the ended actor that the worker ran. They stay allocated until the process
    /// is dead.
    pub(super) grant: Option<Box<Grant>>,
    /// The driver kills the worker because of one task. The death costs the other tasks no retry.
    pub(super) killed: bool,
    /// The maximum number of unblocked tasks.
    pub(super) depth: u32,
    /// The objects that the worker holds, with their pins.
    pub(super) held: IdMap<Hold>,
    /// The ids that the worker was told, computed on demand.
    pub(super) told: Told,
    /// The pending objects whose outcome the worker waits for.
    pub(super) watches: HashSet<ObjectId, BuildHasherDefault<NumberHasher>>,
    /// The family of tasks that the worker spawns. A new family starts when the worker changes to
    /// another task.
    pub(super) children: Siblings,
    /// The worker's index in the lists of workers.
    pub(super) index: WorkerIndex,
    /// The worker's [rank](Worker::rank) in [`room`](super::Scheduler::room), if listed.
    pub(super) room: Option<u32>,
    /// The worker has ended a task in this round.
    pub(super) ended: bool,
    /// Number of rounds in a row, before this one, without an ended task.
    pub(super) quiet: u8,
    /// The worker gets short tasks: see [`pack`](super::pack).
    pub(super) active: bool,
    /// Whether the worker counts in [`stealable`](super::Scheduler::stealable).
    pub(super) stealable: bool,
    /// Whether the worker keeps calls of its tasks.
    pub(super) keeping: Keeping,
    /// The planned end of the worker.
    pub(super) term: Term,
}

/// A worker's hold of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hold {
    /// The worker knows where the bytes are.
    pub(super) pinned: bool,
}

impl Worker {
    /// Makes the record of a started worker with at most `depth` unblocked tasks.
    pub(super) fn new(depth: u32, index: WorkerIndex) -> Worker {
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
            index,
            room: None,
            ended: false,
            quiet: STUCK_ROUNDS,
            active: false,
            stealable: false,
            keeping: Keeping::default(),
            term: Term::default(),
        }
    }

    /// Returns how many of its tasks may have begun if it runs `at_a_time` at a time. The worker
    /// starts tasks in the order of the attempts.
    pub(super) fn near(&self, at_a_time: u32) -> usize {
        let near = self.blocked.saturating_add(at_a_time);
        usize::try_from(near).unwrap_or(usize::MAX)
    }

    /// Returns the number of running or runnable tasks. Threads that a task started may block too,
    /// so blocked threads can outnumber tasks.
    pub(super) fn load(&self) -> u32 {
        let tasks = u32::try_from(self.assignments.len()).unwrap_or(u32::MAX);
        tasks.saturating_sub(self.blocked)
    }

    /// Returns the order among workers that take tasks: by load, then workers without a blocked
    /// task. A new task would delay a blocked task that wants to continue, such as an asynchronous
    /// one whose timer ends.
    pub(super) fn rank(&self) -> u32 {
        2 * self.load() + u32::from(self.blocked > 0)
    }

    /// Returns whether the worker takes a further task.
    pub(super) fn has_room(&self, slots: u32) -> bool {
        self.state == WorkerState::Up
            && self.actor.is_none()
            && !self.stalled
            && !self.closed
            && self.load() < self.depth
            && self.has_slot(slots)
    }

    /// Returns whether a state word is left for a further task.
    pub(super) fn has_slot(&self, slots: u32) -> bool {
        !self.free_slots.is_empty() || self.fresh_slot < slots
    }

    /// Returns a free slot. Requires [`has_slot`](Worker::has_slot).
    pub(super) fn take_slot(&mut self) -> TaskSlot {
        self.free_slots.pop().unwrap_or_else(|| {
            self.fresh_slot += 1;
            TaskSlot(self.fresh_slot - 1)
        })
    }

    /// Returns slot and attempt of a new assignment. Requires [`has_slot`](Worker::has_slot).
    pub(super) fn next_assignment(&mut self) -> (TaskSlot, Attempt) {
        let slot = self.take_slot();
        let attempt = Attempt(self.next_attempt);
        self.next_attempt += 1;
        (slot, attempt)
    }

    /// Returns the assignment of an attempt that has not ended.
    pub(super) fn assignment(&self, attempt: Attempt) -> Option<&Assignment> {
        self.assignments.get(self.position(attempt)?)
    }

    fn position(&self, attempt: Attempt) -> Option<usize> {
        // Usually the oldest attempt ends first.
        if self.assignments.front()?.attempt == attempt {
            return Some(0);
        }
        self.assignments
            .binary_search_by_key(&attempt, |assignment| assignment.attempt)
            .ok()
    }

    /// Replaces the task of an assignment.
    pub(super) fn reassign(&mut self, attempt: Attempt, task: TaskId) {
        if let Some(at) = self.position(attempt) {
            self.assignments[at].task = task;
        }
    }

    /// Ends an assignment and frees its slot.
    pub(super) fn complete(&mut self, attempt: Attempt) -> Option<Assignment> {
        let assignment = match self.position(attempt)? {
            0 => self.assignments.pop_front(),
            later => self.remove(later),
        }?;
        self.free_slots.push(assignment.slot);
        Some(assignment)
    }

    /// Removes an assignment that is not the oldest.
    #[inline(never)]
    fn remove(&mut self, index: usize) -> Option<Assignment> {
        self.assignments.remove(index)
    }
}
