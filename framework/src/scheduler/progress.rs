//! The progress that tasks report.

use mobula_protocol::{Attempt, ObjectId, TaskProgress, WorkerId};

use super::{Scheduler, object::Maker};

impl Scheduler {
    /// Records the progress of a run. Ignores a run that has ended: its own threads may report
    /// late.
    pub(super) fn on_progress(&mut self, from: WorkerId, run: Attempt, progress: TaskProgress) {
        let worker = self.workers.get(from);
        let assignment = worker.and_then(|worker| worker.assignment(run));
        let task = assignment.map(|assignment| assignment.task);
        if let Some(task) = task.and_then(|task| self.tasks.get_mut(task)) {
            task.extra_mut().progress = Some(Box::new((run, progress)));
        }
    }

    /// Returns the last reported progress of the assigned task that makes this object.
    pub(crate) fn progress(&self, id: ObjectId) -> Option<TaskProgress> {
        let pending = self.objects.get(id)?.pending()?;
        let Maker::Task(task) = pending.maker else {
            return None;
        };
        let task = self.tasks.get(task)?;
        let hand = task.state.assigned()?;
        // The progress of an earlier run does not apply to this run.
        let (run, progress) = task.extra()?.progress.as_deref()?;
        (*run == hand.attempt).then_some(*progress)
    }
}
