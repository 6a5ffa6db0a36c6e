//! The words of a mailbox outside its rings. They say whether a queued task can still be started or
//! revoked, and what the worker runs.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::{
    ids::{Attempt, FunctionIndex, TaskSlot},
    primitive::{Memory, Region, Word},
};

/// The largest number of tasks with one worker at a time, queued and started together.
pub const TASK_SLOTS: usize = 1024;

const QUEUED: u64 = 1;
const STARTED: u64 = 2;
const REVOKED: u64 = 3;

/// The first bit of the run's number in the word that says what runs. The lower bits are the
/// function's index plus one.
const RUN: u32 = 33;
const FUNCTION: u64 = (1 << RUN) - 1;

/// Returns a state and the attempt that it belongs to, in one word.
fn word(attempt: Attempt, state: u64) -> u64 {
    attempt.0 << 2 | state
}

/// The state words. The worker can start a queued task, and the driver can revoke it. Exactly one
/// of them succeeds (`ring/README.md`, "State words"). A slot that does not exist answers no to
/// each request.
#[derive(Clone, Debug)]
pub(super) struct State<M = Region> {
    memory: M,
    /// The index of the word that says what runs.
    current: usize,
    /// The index of the first state word.
    slots: usize,
    /// The number of state words.
    count: usize,
}

impl<M: Memory> State<M> {
    pub(super) fn new(memory: M, current: usize, slots: usize, count: usize) -> State<M> {
        assert!(
            slots + count <= memory.words().len(),
            "state words outside the memory"
        );
        State {
            memory,
            current,
            slots,
            count,
        }
    }

    fn decide(&self, slot: TaskSlot, attempt: Attempt, to: u64) -> bool {
        self.slot(slot)
            .is_some_and(|state| state.replace(word(attempt, QUEUED), word(attempt, to)))
    }

    fn slot(&self, slot: TaskSlot) -> Option<&M::Word> {
        let index = slot.0 as usize;
        (index < self.count).then(|| &self.memory.words()[self.slots + index])
    }

    fn current(&self) -> &M::Word {
        &self.memory.words()[self.current]
    }

    fn function(&self) -> Option<FunctionIndex> {
        let number = self.current().load(Relaxed) & FUNCTION;
        u32::try_from(number.checked_sub(1)?)
            .ok()
            .map(FunctionIndex)
    }
}

/// The driver's side of a worker's state words. A clone is of the same words.
#[derive(Clone, Debug)]
pub struct DriverState<M = Region>(State<M>);

impl<M: Memory> DriverState<M> {
    pub(super) fn new(state: State<M>) -> DriverState<M> {
        DriverState(state)
    }

    /// Begins a use of a slot by a revocable task. Must be called before the task is sent, and
    /// after the slot's last use has ended. `attempt` must be below 2^62.
    pub fn queue(&self, slot: TaskSlot, attempt: Attempt) {
        debug_assert!(attempt.0 < 1 << 62, "attempts are counted from zero");
        if let Some(state) = self.0.slot(slot) {
            state.store(word(attempt, QUEUED), Release);
        }
    }

    /// Revokes a task. Returns `false` if the worker has started it, or it is not revocable.
    pub fn revoke(&self, slot: TaskSlot, attempt: Attempt) -> bool {
        self.0.decide(slot, attempt, REVOKED)
    }

    /// Returns whether the worker has started this attempt. The answer is reliable after the
    /// worker's death, and before the slot is used again.
    pub fn started(&self, slot: TaskSlot, attempt: Attempt) -> bool {
        self.0
            .slot(slot)
            .is_some_and(|state| state.load(Acquire) == word(attempt, STARTED))
    }

    /// Returns the function that the worker runs, or ran last, by its own report. It is not checked
    /// against the registry: a worker may have written any number.
    pub fn function(&self) -> Option<FunctionIndex> {
        self.0.function()
    }

    /// Returns the number of the worker's last run. It is 0 before the first run, and numbers
    /// repeat after 2^31 runs.
    pub fn run(&self) -> u64 {
        self.0.current().load(Relaxed) >> RUN
    }
}

/// The worker's side of its state words. A clone is of the same words.
#[derive(Clone, Debug)]
pub struct WorkerState<M = Region>(State<M>);

impl<M: Memory> WorkerState<M> {
    pub(super) fn new(state: State<M>) -> WorkerState<M> {
        WorkerState(state)
    }

    /// Starts a task. Returns `false` if the driver has revoked it. Then it must not run, and the
    /// worker must report nothing about it. A task that is not `revocable` costs a store, and no
    /// wait for the other core.
    pub fn start(&self, slot: TaskSlot, attempt: Attempt, revocable: bool) -> bool {
        if revocable {
            return self.0.decide(slot, attempt, STARTED);
        }
        match self.0.slot(slot) {
            Some(state) => {
                state.store(word(attempt, STARTED), Release);
                true
            }
            None => false,
        }
    }

    /// Returns whether the driver has revoked the task. Changes nothing.
    pub fn is_revoked(&self, slot: TaskSlot, attempt: Attempt) -> bool {
        // The word of another attempt shows that this one was revoked and the slot is used again.
        self.0
            .slot(slot)
            .is_none_or(|state| state.load(Acquire) != word(attempt, QUEUED))
    }

    /// Records that a run of this function begins. The driver names the function when this worker
    /// dies.
    pub fn set_function(&self, function: FunctionIndex) {
        let current = self.0.current();
        let run = (current.load(Relaxed) >> RUN) + 1;
        current.store(run << RUN | (u64::from(function.0) + 1), Relaxed);
    }

    /// Returns the function whose run has begun last.
    pub fn function(&self) -> Option<FunctionIndex> {
        self.0.function()
    }
}
