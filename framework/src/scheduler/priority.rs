//! Priorities of ready tasks over assigned tasks.
//!
//! The [ready queue](super::ready) returns the highest priority first. Workers have tasks ahead. A
//! later task of higher priority therefore takes back the tasks of lower priority that some worker
//! has not begun. If no unfinished task has a priority, this costs one comparison for each step.

use mobula_protocol::WorkerId;

use super::{
    Host, Scheduler,
    task_table::TaskId,
    worker::{Worker, WorkerState},
};

impl Scheduler {
    /// Returns the priority of a task.
    pub(super) fn priority_of(&self, id: TaskId) -> i32 {
        self.tasks.get(id).map_or(0, |task| task.priority)
    }

    /// Assigns ready tasks that have a higher priority than tasks ahead on some worker. Such a task
    /// runs next on that worker.
    pub(super) fn overtake(&mut self, host: &mut impl Host) {
        let mut refused: Vec<WorkerId> = Vec::new();
        while let Some(priority) = self.ready.first_priority() {
            if self.any_idle() {
                return;
            }
            let Some(worker) = self.to_be_overtaken(priority, &refused) else {
                return;
            };
            while self.last_ahead(worker).is_some_and(|last| last < priority) {
                if self.take_back(worker, 1, host) == 0 {
                    break;
                }
            }
            let has_slot = |worker: &Worker| worker.has_slot(self.config.slots);
            if self.last_ahead(worker).is_some_and(|last| last < priority)
                || !self.workers.get(worker).is_some_and(has_slot)
            {
                // The worker has begun these tasks meanwhile.
                refused.push(worker);
                continue;
            }
            let Some(task) = self.next_ready() else {
                return;
            };
            self.hand_over(task, worker, host);
        }
    }

    /// Returns the worker where a task of this priority would begin soonest. Of the workers with
    /// tasks of lower priority ahead, this is the one with the fewest tasks before the new task.
    fn to_be_overtaken(&self, priority: i32, refused: &[WorkerId]) -> Option<WorkerId> {
        let workers = self.workers.iter().filter(|(id, worker)| {
            worker.state == WorkerState::Up
                && worker.actor.is_none()
                && !worker.stalled
                && !worker.closed
                && !refused.contains(id)
                && self.last_ahead(*id).is_some_and(|last| last < priority)
        });
        let before = |worker: &Worker| {
            let assignments = worker.assignments.iter();
            let before = assignments.filter(|found| self.priority_of(found.task) >= priority);
            before.count()
        };
        workers
            .map(|(id, worker)| (before(worker), id))
            .min()
            .map(|(_, id)| id)
    }

    /// Returns the priority of the last task that a worker has not begun, by the driver's records.
    fn last_ahead(&self, worker: WorkerId) -> Option<i32> {
        let worker = self.workers.get(worker)?;
        let last = worker.assignments.back()?;
        (worker.load() > 1).then(|| self.priority_of(last.task))
    }
}
