//! The changes of a task's state.
//!
//! Each [change](super::changes) of a task's state enters through one function of this file, which
//! calls [`Host::observe`]. A host without an observer pays nothing: the scheduler is compiled for
//! its host, and the compiler removes the empty method.
//!
//! ```text
//! submitted ── input ready ── ready ── assigned ── started ── ended
//!                               │         │           │
//!                               ├─────────┴─ returned ┤   (taken back, or its worker is lost)
//!                                         └─ abandoned ┴──── ended
//! ```
//!
//! A task can end in each state. A call that fails on submission makes no task and no event.

use super::{
    Host, Scheduler,
    changes::{Hand, TaskChange, TaskEvent, TaskId},
    task::{Task, TaskState},
};

impl Scheduler {
    /// Adds a new task to the table and to the counts.
    pub(super) fn task_submitted(&mut self, task: Box<Task>, host: &mut impl Host) -> TaskId {
        *self.counts.of(task.state) += 1;
        self.prioritized += usize::from(task.priority != 0);
        let change = match task.state {
            TaskState::Waiting { missing } => TaskChange::Submitted { missing },
            TaskState::Ready => TaskChange::Submitted { missing: 0 },
            TaskState::Queued(hand) => TaskChange::Assigned(hand),
            TaskState::Running(hand) => TaskChange::Started(hand),
            TaskState::Abandoned(hand) => TaskChange::Abandoned(hand),
        };
        let (id, function) = (task.id, task.function);
        let task = self.tasks.insert(task);
        host.observe(TaskEvent {
            task,
            id,
            function,
            change,
        });
        task
    }

    /// Records that an input of a waiting task is ready. Returns whether it was the last input.
    pub(super) fn task_input_ready(&mut self, id: TaskId, host: &mut impl Host) -> bool {
        let Some(task) = self.tasks.get_mut(id) else {
            return false;
        };
        let TaskState::Waiting { missing } = task.state else {
            return false;
        };
        if missing > 1 {
            let missing = missing - 1;
            task.state = TaskState::Waiting { missing };
            host.observe(task.event(id, TaskChange::InputReady { missing }));
            return false;
        }
        self.change(id, TaskState::Ready, TaskChange::Ready, host);
        true
    }

    /// Records the assignment of a ready task to a worker.
    pub(super) fn task_assigned(&mut self, id: TaskId, hand: Hand, host: &mut impl Host) {
        self.change(
            id,
            TaskState::Queued(hand),
            TaskChange::Assigned(hand),
            host,
        );
    }

    /// Records the start of a run. Returns `false` for an abandoned task, which cannot start.
    pub(super) fn task_started(&mut self, id: TaskId, host: &mut impl Host) -> bool {
        let Some(hand) = self.tasks.get(id).and_then(|task| task.state.assigned()) else {
            return false;
        };
        let state = TaskState::Running(hand);
        self.change(id, state, TaskChange::Started(hand), host);
        true
    }

    /// Records that a task has left its worker and can run elsewhere.
    pub(super) fn task_returned(&mut self, id: TaskId, host: &mut impl Host) {
        if let Some(hand) = self.tasks.get(id).and_then(|task| task.state.assigned()) {
            self.change(id, TaskState::Ready, TaskChange::Returned(hand), host);
        }
    }

    /// Records that the results of an assigned task have failed.
    pub(super) fn task_abandoned(&mut self, id: TaskId, hand: Hand, host: &mut impl Host) {
        let state = TaskState::Abandoned(hand);
        self.change(id, state, TaskChange::Abandoned(hand), host);
    }

    /// Removes an ended task from the table. [`end_task`](Scheduler::end_task) ends its counts.
    pub(super) fn task_ended(
        &mut self,
        id: TaskId,
        failed: bool,
        host: &mut impl Host,
    ) -> Option<Box<Task>> {
        let task = self.tasks.remove(id)?;
        host.observe(task.event(id, TaskChange::Ended { failed }));
        Some(task)
    }

    /// Changes the state of a task and the counts.
    #[inline]
    fn change(&mut self, id: TaskId, state: TaskState, change: TaskChange, host: &mut impl Host) {
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        let old = std::mem::replace(&mut task.state, state);
        host.observe(task.event(id, change));
        *self.counts.of(old) -= 1;
        *self.counts.of(state) += 1;
    }
}

impl Task {
    fn event(&self, task: TaskId, change: TaskChange) -> TaskEvent {
        TaskEvent {
            task,
            id: self.id,
            function: self.function,
            change,
        }
    }
}
