//! A [`Host`] that records all calls and replaces the mailboxes.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Weak,
    time::{Duration, Instant},
};

use mobula_protocol::{
    Attempt, ObjectHandle, ObjectId, Outcome, TaskSlot, Value, WorkerId,
    message::{ArgRef, TaskMessage, ToWorker},
};
use mobula_store::Loc;

use super::{
    super::{Host, changes::TaskEvent},
    events::Observed,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Queued,
    Started,
    /// The `Done` is written, or the task is revoked.
    Over,
}

/// The actions of the scheduler that a test has not asked for yet.
#[derive(Debug, Default)]
pub(super) struct TestHost {
    words: HashMap<(WorkerId, TaskSlot), (Attempt, Word)>,
    lanes: HashMap<WorkerId, VecDeque<TaskMessage>>,
    control: HashMap<WorkerId, VecDeque<ToWorker>>,
    pub(super) completed: VecDeque<(ObjectId, Outcome)>,
    pub(super) freed: BTreeSet<(u32, u64)>,
    /// The events of tasks. Their order is checked.
    pub(super) observed: Observed,
    /// The number of workers that are to be started.
    pub(super) starting: usize,
    /// The workers that have become actors, with their numbers of threads.
    pub(super) actors: Vec<(WorkerId, u32)>,
    pub(super) killed: Vec<WorkerId>,
    pub(super) said: Vec<String>,
    pub(super) ending: Vec<WorkerId>,
    /// Shared memory that is to be closed, and the object that it is to become.
    pub(super) closing: Vec<(Loc, Option<(ObjectId, Value)>)>,
    /// Whether revocations succeed. If not, the worker has always begun the task before.
    pub(super) revocable: bool,
    pub(super) revocations: usize,
    /// The time since the first call that asked for the time.
    pub(super) elapsed: Duration,
    pub(super) began: Option<Instant>,
    /// The time at which the scheduler wants to be called.
    pub(super) wake_at: Option<Instant>,
}

impl TestHost {
    pub(super) fn new() -> TestHost {
        TestHost {
            revocable: true,
            ..TestHost::default()
        }
    }

    /// The worker begins its next task. Returns the task.
    pub(super) fn start(&mut self, worker: WorkerId) -> Option<TaskMessage> {
        while let Some(task) = self.lanes.get_mut(&worker)?.pop_front() {
            let word = self.words.get_mut(&(worker, task.slot)).unwrap();
            if *word == (task.attempt, Word::Queued) {
                word.1 = Word::Started;
                return Some(task);
            }
        }
        None
    }

    /// The task overwrites its state word, which then says that the task has not begun.
    pub(super) fn unsay(&mut self, worker: WorkerId, task: &TaskMessage) {
        let word = self.words.get_mut(&(worker, task.slot)).unwrap();
        assert_eq!(*word, (task.attempt, Word::Started));
        word.1 = Word::Queued;
    }

    /// The worker completes a task and reports it.
    pub(super) fn end(&mut self, worker: WorkerId, task: &TaskMessage) {
        let word = self.words.get_mut(&(worker, task.slot)).unwrap();
        assert_eq!(*word, (task.attempt, Word::Started));
        word.1 = Word::Over;
    }

    /// Returns the tasks that wait in the worker's task lane, without revoked tasks.
    pub(super) fn lane(&self, worker: WorkerId) -> Vec<ObjectId> {
        let lane = self.lanes.get(&worker).into_iter().flatten();
        lane.filter(|task| self.words[&(worker, task.slot)] == (task.attempt, Word::Queued))
            .map(|task| task.id)
            .collect()
    }

    /// Returns the next message on the worker's control lane.
    pub(super) fn control(&mut self, worker: WorkerId) -> Option<ToWorker> {
        self.control.get_mut(&worker)?.pop_front()
    }

    /// Forgets the messages to a dead worker.
    pub(super) fn reap(&mut self, worker: WorkerId) {
        self.lanes.remove(&worker);
        self.control.remove(&worker);
    }

    /// Checks that the test has asked for all actions of the scheduler.
    pub(super) fn emptiness_check(&self) {
        for (&worker, control) in &self.control {
            assert!(
                control.is_empty(),
                "{worker} has unread messages: {control:?}"
            );
            assert_eq!(self.lane(worker), []);
        }
        assert!(self.completed.is_empty(), "unseen: {:?}", self.completed);
        assert!(self.freed.is_empty(), "unseen: {:?}", self.freed);
        assert!(self.closing.is_empty(), "unseen: {:?}", self.closing);
        self.observed.assert_all_ended();
    }
}

impl Host for TestHost {
    fn observe(&mut self, event: TaskEvent) {
        self.observed.add(event);
    }

    fn send_task(&mut self, worker: WorkerId, task: TaskMessage<ArgRef<'_>>) {
        let word = (task.attempt, Word::Queued);
        if let Some((attempt, old)) = self.words.insert((worker, task.slot), word) {
            assert_eq!(old, Word::Over, "{:?} is in use", task.slot);
            assert!(attempt < task.attempt, "attempts count up");
        }
        self.lanes
            .entry(worker)
            .or_default()
            .push_back(task.to_message());
    }

    fn send(&mut self, worker: WorkerId, message: ToWorker) {
        self.control.entry(worker).or_default().push_back(message);
    }

    fn revoke(&mut self, worker: WorkerId, slot: TaskSlot, attempt: Attempt) -> bool {
        let word = self.words.get_mut(&(worker, slot)).unwrap();
        assert_eq!(word.0, attempt);
        let queued = word.1 == Word::Queued && self.revocable;
        if queued {
            word.1 = Word::Over;
            self.revocations += 1;
        }
        queued
    }

    fn started(&mut self, worker: WorkerId, slot: TaskSlot, attempt: Attempt) -> bool {
        let word = self.words[&(worker, slot)];
        assert_eq!(word.0, attempt);
        word.1 != Word::Queued
    }

    fn complete(&mut self, id: ObjectId, _: Weak<ObjectHandle>, outcome: Outcome) {
        self.completed.push_back((id, outcome));
    }

    fn now(&mut self) -> Instant {
        *self.began.get_or_insert_with(Instant::now) + self.elapsed
    }

    fn wake_at(&mut self, at: Instant) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }

    fn start_worker(&mut self) {
        self.starting += 1;
    }

    fn make_actor(&mut self, worker: WorkerId, threads: u32) {
        self.actors.push((worker, threads));
    }

    fn say(&mut self, line: String) {
        self.said.push(line);
    }

    fn kill(&mut self, worker: WorkerId, _: String) {
        self.killed.push(worker);
    }

    fn end_within(&mut self, worker: WorkerId, _: Duration) {
        self.ending.push(worker);
    }

    fn close(&mut self, loc: Loc, then: Option<(ObjectId, Value)>) {
        self.closing.push((loc, then));
    }

    fn free(&mut self, loc: Loc) {
        assert!(
            self.freed.insert((loc.segment.0, loc.offset)),
            "{loc} was freed twice"
        );
    }
}
