//! Tasks that go before others.
//!
//! The [ready queue](super::ready) gives the highest priority first. Workers have tasks ahead, so a
//! task that comes later and is to go first has those taken back that stand before it in some
//! worker. As long as no unfinished task has a priority, this costs a comparison for each step.

use mobula_protocol::WorkerId;

use super::{
    Host, Scheduler,
    task_table::TaskId,
    worker::{Worker, WorkerState},
};

impl Scheduler {
    /// The priority of a task.
    pub(super) fn priority_of(&self, id: TaskId) -> i32 {
        self.tasks.get(id).map_or(0, |task| task.priority)
    }

    /// While the first of the ready tasks is to go before what some worker has ahead: gives it to
    /// that worker, next.
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
                || !self.workers.get(&worker).is_some_and(has_slot)
            {
                // It has begun them meanwhile.
                refused.push(worker);
                continue;
            }
            let Some(task) = self.next_ready() else {
                return;
            };
            self.hand_over(task, worker, host);
        }
    }

    /// The worker where a task of this priority would begin soonest, as far as that is known: of
    /// those that have others of a lower one ahead, the one with the fewest before it.
    fn to_be_overtaken(&self, priority: i32, refused: &[WorkerId]) -> Option<WorkerId> {
        let workers = self.workers.iter().filter(|(id, worker)| {
            worker.state == WorkerState::Up
                && worker.actor.is_none()
                && !worker.stalled
                && !worker.closed
                && !refused.contains(id)
                && self.last_ahead(**id).is_some_and(|last| last < priority)
        });
        let before = |worker: &Worker| {
            let assignments = worker.assignments.iter();
            let before = assignments.filter(|found| self.priority_of(found.task) >= priority);
            before.count()
        };
        workers
            .map(|(id, worker)| (before(worker), *id))
            .min()
            .map(|(_, id)| id)
    }

    /// The priority of the last task that a worker has not begun, as far as the driver knows.
    fn last_ahead(&self, worker: WorkerId) -> Option<i32> {
        let worker = self.workers.get(&worker)?;
        let last = worker.assignments.back()?;
        (worker.load() > 1).then(|| self.priority_of(last.task))
    }
}
