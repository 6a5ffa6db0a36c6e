//! The system gives no further thread or process.
//!
//! *Threads.* A worker whose tasks all wait, and which gets no thread to go on with its lane, says
//! that it is stalled. It gets no task while another worker of the pool takes tasks. When none
//! does, and none is about to come, the first ready task goes to a stalled worker: the worker sees
//! it, and ends a wait with an error. A worker that comes up before that takes the task over.
//!
//! *Processes.* No actor gets the last worker of a pool that is to have several: there may be no
//! further process to take its place. A pool of one worker keeps it while starts fail. When starts
//! have failed for some time, the driver [gives up](Scheduler::refuse_processes) what waits for a
//! process.

use mobula_protocol::{Error, WorkerId};

use super::{
    Host, Scheduler, Violation,
    worker::{Worker, WorkerState},
};

impl Scheduler {
    /// A worker has got no thread to take tasks with, or has one again.
    pub(super) fn on_stalled(
        &mut self,
        from: WorkerId,
        stalled: bool,
        host: &mut impl Host,
    ) -> Result<(), Violation> {
        let Some(worker) = self.workers.get_mut(&from) else {
            return Ok(());
        };
        worker.stalled = stalled;
        if stalled {
            self.take_back(from, u32::MAX, host);
        }
        self.relist(from);
        Ok(())
    }

    /// A stalled worker of the pool that can be handed a task.
    pub(super) fn stalled_worker(&self) -> Option<WorkerId> {
        let mut pool = self.workers.iter();
        let found = pool.find(|(_, worker)| {
            worker.stalled && worker.actor.is_none() && worker.has_slot(self.config.slots)
        });
        found.map(|(id, _)| *id)
    }

    /// Whether the pool has a worker that is up, besides this one.
    pub(super) fn pool_has_another(&self, than: WorkerId) -> bool {
        let in_pool = |worker: &Worker| worker.actor.is_none() && worker.state == WorkerState::Up;
        self.workers
            .iter()
            .any(|(id, worker)| *id != than && in_pool(worker))
    }

    /// Whether the pool has no worker, and none that is about to come.
    pub(crate) fn pool_is_empty(&self) -> bool {
        let in_pool =
            |worker: &Worker| worker.actor.is_none() && worker.state != WorkerState::ShuttingDown;
        !self.workers.values().any(in_pool)
    }

    /// Whether the pool keeps its last worker when an actor wants one.
    pub(crate) fn keep_last_worker(&mut self, keep: bool) {
        self.keeps_last = keep;
    }

    /// So many workers are about to be started. No task has to give up its wait before they are.
    pub(crate) fn expect_workers(&mut self, workers: usize) {
        self.expected = workers;
    }

    /// A worker takes tasks: what stalled ones were handed because nobody did goes to it.
    pub(super) fn relieve_stalled(&mut self, host: &mut impl Host) {
        let stalled = self.workers.iter().filter(|(_, worker)| worker.stalled);
        let stalled: Vec<_> = stalled.map(|(id, _)| *id).collect();
        for id in stalled {
            self.take_back(id, u32::MAX, host);
        }
    }

    /// Whether a worker of the pool takes tasks.
    pub(crate) fn pool_is_up(&self) -> bool {
        self.pool_has_another(WorkerId::DRIVER)
    }

    /// Fails what waits for a process, because of `why`: all actors that have none and, where the
    /// pool has no worker, all tasks that could run. `any_hope`: a worker that was started, and is
    /// not up, counts as one. Says how many processes fewer are needed.
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
