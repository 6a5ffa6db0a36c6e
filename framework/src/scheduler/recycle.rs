//! The planned replacement of healthy workers.
//!
//! A function can limit how many of its calls a worker runs (`max_calls`). A worker reports when it
//! has become too large ([`FromWorker::Retire`](mobula_protocol::message::FromWorker::Retire)).
//! Such a worker *retires*: it gets no further task, and others can take the tasks that it has not
//! begun. When all its tasks wait, the driver starts a replacement, because the tasks may wait for
//! work that needs a worker. A retired worker without tasks gets a shutdown message.
//!
//! Calls count on assignment, so a worker never begins more calls than the limit. If the call that
//! reached the limit is taken back, the worker stays in use.

use std::time::Duration;

use mobula_protocol::{Attempt, FunctionIndex, WorkerId};

use super::{
    Host, Scheduler,
    functions::Function,
    task_table::TaskId,
    worker::{Worker, WorkerState},
};

/// The time for a replaced worker to tear down and to drop its values.
const GRACE: Duration = Duration::from_secs(5);

/// The maximum number of retired workers that wait although they have replacements. Above it, a
/// waiting worker takes tasks again, which saves a process.
const MOST_WAITING: usize = 64;

impl Scheduler {
    /// Returns whether calls without options of their own can have a limit. The largest number is
    /// none: it only keeps the calls of a function out of batches.
    pub(super) fn any_limit(functions: &[Function]) -> bool {
        let mut limits = functions.iter().map(|known| known.options.max_calls);
        limits.any(|limit| limit.is_some_and(|most| most < u32::MAX))
    }

    fn max_calls(&self, id: TaskId) -> Option<(FunctionIndex, u32)> {
        let task = self.tasks.get(id)?;
        let limit = task.options(&self.functions).max_calls?;
        Some((task.function, limit))
    }

    /// Counts an assigned task that may have a limit.
    #[cold]
    pub(super) fn count_call(&mut self, id: TaskId, worker_id: WorkerId, attempt: Attempt) {
        let Some((function, most)) = self.max_calls(id) else {
            return;
        };
        let Some(worker) = self.workers.get_mut(worker_id) else {
            return;
        };
        let calls = worker.term.calls_of(function);
        *calls = calls.saturating_add(1);
        if *calls >= most && worker.state == WorkerState::Up && worker.actor.is_none() {
            worker.term.last = Some(attempt);
            self.begin_to_retire(worker_id);
        }
    }

    /// Uncounts a task that was taken back before it began.
    pub(super) fn uncount_call(&mut self, id: TaskId, worker_id: WorkerId, attempt: Attempt) {
        let counts = |worker: &Worker| worker.term.counts_calls();
        if !self.workers.get(worker_id).is_some_and(counts) {
            return;
        }
        let limit = self.max_calls(id);
        let Some(worker) = self.workers.get_mut(worker_id) else {
            return;
        };
        if let Some((function, _)) = limit {
            let calls = worker.term.calls_of(function);
            *calls = calls.saturating_sub(1);
        }
        if worker.term.last == Some(attempt) {
            worker.term.last = None;
            if worker.state == WorkerState::Retiring && !worker.term.replaced {
                worker.state = WorkerState::Up;
            }
        }
    }

    /// Retires a worker at its own request, except for the worker of an actor.
    pub(super) fn on_retire(&mut self, from: WorkerId, host: &mut impl Host) {
        let Some(worker) = self.workers.get_mut(from) else {
            return;
        };
        if worker.actor.is_some() || worker.state == WorkerState::ShuttingDown {
            return;
        }
        // The worker retires even if its last call is taken back.
        worker.term.last = None;
        self.begin_to_retire(from);
        self.take_back(from, u32::MAX, host);
        self.wind_up(from, host);
    }

    fn begin_to_retire(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(id) else {
            return;
        };
        worker.state = WorkerState::Retiring;
        // Short tasks must not wait for a retiring worker.
        if worker.active {
            worker.active = false;
            self.active -= 1;
            self.active_workers.remove(worker.index);
        }
        self.relist(id);
    }

    /// Continues the retirement of a worker without runnable tasks: requests a replacement, and
    /// stops a worker without tasks.
    #[cold]
    pub(super) fn wind_up(&mut self, id: WorkerId, host: &mut impl Host) {
        let Some(worker) = self.workers.get_mut(id) else {
            return;
        };
        if worker.state != WorkerState::Retiring || worker.load() > 0 {
            return;
        }
        let waits = !worker.assignments.is_empty();
        if !worker.term.replaced {
            if waits && self.replaced >= MOST_WAITING {
                worker.term.last = None;
                worker.state = WorkerState::Up;
                return self.relist(id);
            }
            worker.term.replaced = true;
            self.replaced += 1;
            if self.closed.is_none() {
                host.start_worker();
            }
        }
        if !waits {
            self.stop_process(id, GRACE, host);
        }
    }
}
