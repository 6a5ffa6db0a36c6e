//! Workers that are replaced although nothing is wrong with them.
//!
//! A function can say how many of its calls a worker runs (`max_calls`), and a worker says when it
//! has become too large ([`FromWorker::Retire`](mobula_protocol::message::FromWorker::Retire)).
//! Such a worker *retires*: it gets no further task, and what it has not begun is free to go to
//! others. When all that it has waits, a new worker is started in its place: what it waits for may
//! need one. When it has nothing any more, it is told to end, as at the end of the runtime.
//!
//! Calls are counted when they are handed over, so a worker never begins one too many. If the one
//! that was the last for the worker is taken back, the worker goes on.

use std::time::Duration;

use mobula_protocol::{Attempt, FunctionIndex, WorkerId};

use super::{
    Host, Scheduler,
    functions::Function,
    task_table::TaskId,
    worker::{Worker, WorkerState},
};

/// How long a worker that is replaced may take for its tear-down and for the values that it drops.
const GRACE: Duration = Duration::from_secs(5);

/// Retired workers whose tasks wait while new ones have taken their places. With more of them, one
/// that waits takes further tasks, in place of a further process.
const MOST_WAITING: usize = 64;

impl Scheduler {
    /// Whether calls without options of their own can have a limit.
    pub(super) fn any_limit(functions: &[Function]) -> bool {
        let mut limits = functions.iter().map(|known| known.options.max_calls);
        limits.any(|limit| limit.is_some())
    }

    fn max_calls(&self, id: TaskId) -> Option<(FunctionIndex, u32)> {
        let task = self.tasks.get(id)?;
        let limit = task.options(&self.functions).max_calls?;
        Some((task.function, limit))
    }

    /// A task was handed over that may have a limit.
    #[cold]
    pub(super) fn count_call(&mut self, id: TaskId, worker_id: WorkerId, attempt: Attempt) {
        let Some((function, most)) = self.max_calls(id) else {
            return;
        };
        let Some(worker) = self.workers.get_mut(&worker_id) else {
            return;
        };
        let calls = worker.term.calls_of(function);
        *calls = calls.saturating_add(1);
        if *calls >= most && worker.state == WorkerState::Up && worker.actor.is_none() {
            worker.term.last = Some(attempt);
            self.begin_to_retire(worker_id);
        }
    }

    /// A task was taken back from a worker that has not begun it.
    pub(super) fn uncount_call(&mut self, id: TaskId, worker_id: WorkerId, attempt: Attempt) {
        let counts = |worker: &Worker| worker.term.counts_calls();
        if !self.workers.get(&worker_id).is_some_and(counts) {
            return;
        }
        let limit = self.max_calls(id);
        let Some(worker) = self.workers.get_mut(&worker_id) else {
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

    /// A worker asks to be replaced. That of an actor is not.
    pub(super) fn on_retire(&mut self, from: WorkerId, host: &mut impl Host) {
        let Some(worker) = self.workers.get_mut(&from) else {
            return;
        };
        if worker.actor.is_some() || worker.state == WorkerState::ShuttingDown {
            return;
        }
        // Whatever becomes of a last call.
        worker.term.last = None;
        self.begin_to_retire(from);
        self.take_back(from, u32::MAX, host);
        self.wind_up(from, host);
    }

    fn begin_to_retire(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        worker.state = WorkerState::Retiring;
        // Short tasks are not to wait for it.
        if worker.active {
            worker.active = false;
            self.active -= 1;
            self.active_seats.remove(worker.seat);
        }
        self.relist(id);
    }

    /// A worker that retires has one task less to run: has a new one started in its place, or has
    /// it end, if that was the last.
    #[cold]
    pub(super) fn wind_up(&mut self, id: WorkerId, host: &mut impl Host) {
        let Some(worker) = self.workers.get_mut(&id) else {
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
