//! The shortage of threads or processes.
//!
//! *Threads.* A worker reports that it is stalled when all its tasks wait and no thread is left for
//! its lane. A stalled worker gets no task while another worker of the pool takes tasks. If no
//! worker takes tasks and none is starting, the first ready task goes to a stalled worker. That
//! worker then ends a wait with an error. A worker that registers earlier takes the task over.
//!
//! *Processes.* An actor does not get the last worker of a pool with several workers, because no
//! process may be left to replace it. A pool of one worker keeps it while starts fail. After
//! repeated failed starts, the driver [gives up](Scheduler::refuse_processes) all that waits for a
//! process.

use mobula_protocol::{Error, WorkerId};

use super::{
    Host, Scheduler, Violation,
    worker::{Worker, WorkerState},
};

impl Scheduler {
    /// Records that a worker has no thread for tasks, or has one again.
    pub(super) fn on_stalled(
        &mut self,
        from: WorkerId,
        stalled: bool,
        host: &mut impl Host,
    ) -> Result<(), Violation> {
        let Some(worker) = self.workers.get_mut(from) else {
            return Ok(());
        };
        worker.stalled = stalled;
        if stalled {
            self.take_back(from, u32::MAX, host);
        }
        self.relist(from);
        Ok(())
    }

    /// Returns a stalled worker of the pool that can take a task.
    pub(super) fn stalled_worker(&self) -> Option<WorkerId> {
        let mut pool = self.workers.iter();
        let found = pool.find(|(_, worker)| {
            worker.stalled && worker.actor.is_none() && worker.has_slot(self.config.slots)
        });
        found.map(|(id, _)| id)
    }

    /// Returns whether the pool has a registered worker besides `than`.
    pub(super) fn pool_has_another(&self, than: WorkerId) -> bool {
        let in_pool = |worker: &Worker| worker.actor.is_none() && worker.state == WorkerState::Up;
        self.workers
            .iter()
            .any(|(id, worker)| id != than && in_pool(worker))
    }

    /// Returns whether the pool has no worker, including starting ones.
    pub(crate) fn pool_is_empty(&self) -> bool {
        let in_pool =
            |worker: &Worker| worker.actor.is_none() && worker.state != WorkerState::ShuttingDown;
        !self.workers.values().any(in_pool)
    }

    /// Sets whether the pool keeps its last worker when an actor requests a worker.
    pub(crate) fn keep_last_worker(&mut self, keep: bool) {
        self.keeps_last = keep;
    }

    /// Sets the number of workers that the driver is about to start. No task gives up its wait
    /// before the start.
    pub(crate) fn expect_workers(&mut self, workers: usize) {
        self.expected = workers;
    }

    /// Takes back the tasks of stalled workers, for a worker that has begun to take tasks.
    pub(super) fn relieve_stalled(&mut self, host: &mut impl Host) {
        let stalled = self.workers.iter().filter(|(_, worker)| worker.stalled);
        let stalled: Vec<_> = stalled.map(|(id, _)| id).collect();
        for id in stalled {
            self.take_back(id, u32::MAX, host);
        }
    }

    /// Returns whether a worker of the pool takes tasks.
    pub(crate) fn pool_is_up(&self) -> bool {
        self.pool_has_another(WorkerId::DRIVER)
    }

    /// Fails the actors without a process because of `why`. If the pool has no worker, also fails
    /// all ready tasks and tasks that wait for resources. `any_hope`: a worker that is starting
    /// counts as a worker. Returns how many processes fewer are needed.
    pub(crate) fn refuse_processes(
        &mut self,
        why: &Error,
        any_hope: bool,
        host: &mut impl Host,
    ) -> usize {
        let actors: Vec<_> = self.wanting.iter().copied().collect();
        let refused = actors.len();
        for actor in actors {
            self.refuse_process(actor, why, host);
        }
        if self.pool_is_empty() || (!any_hope && !self.pool_is_up()) {
            while let Some(task) = self.next_ready().or_else(|| self.next_waiting()) {
                let name = self.task_name(task);
                let error = why
                    .clone()
                    .at(format!("`{name}` was not run, because there is no worker"));
                self.finish(task, Err(error), host);
            }
        }
        refused
    }
}
