//! How far tasks are, as they say themselves.

use mobula_protocol::{Attempt, ObjectId, TaskProgress, WorkerId};

use super::{Scheduler, object::Maker};

impl Scheduler {
    /// A run says how far it is. It may have ended: a thread of its own has said so too late then.
    pub(super) fn on_progress(&mut self, from: WorkerId, run: Attempt, progress: TaskProgress) {
        let worker = self.workers.get(&from);
        let assignment = worker.and_then(|worker| worker.assignment(run));
        let task = assignment.map(|assignment| assignment.task);
        if let Some(task) = task.and_then(|task| self.tasks.get_mut(task)) {
            task.progress = Some(Box::new((run, progress)));
        }
    }

    /// How far the task is that makes this object, if it has said so and runs.
    pub(crate) fn progress(&self, id: ObjectId) -> Option<TaskProgress> {
        let pending = self.objects.get(id)?.pending()?;
        let Maker::Task(task) = pending.maker else {
            return None;
        };
        let task = self.tasks.get(task)?;
        let hand = task.state.assigned()?;
        // What an earlier run has said is nothing to this one.
        let (run, progress) = task.progress.as_deref()?;
        (*run == hand.attempt).then_some(*progress)
    }
}
