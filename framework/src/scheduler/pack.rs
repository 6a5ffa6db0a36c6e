//! Few workers for short tasks.
//!
//! With more workers than cores, short tasks run best on as many workers as there are cores. The
//! wake-up of one more worker costs more than the task, and displaces the data of the others from
//! their caches. So while tasks are short, they go to *active* workers only, and wait for these if
//! they are full. There are as many active workers as cores.
//!
//! A worker stays active while it ends tasks. A worker with a long task is no longer active after
//! `STUCK_ROUNDS` [rounds](Scheduler::end_round). Then its tasks that have not started can be taken
//! back. A single round is not enough. Workers take turns on the cores, and a worker that waits for
//! its turn, for some milliseconds, would look stuck. A further worker in its place would make the
//! turns longer.
//!
//! When tasks are no longer short, each idle worker gets one.

use mobula_protocol::{WorkerId, waiting::STUCK_ROUNDS};

use super::{
    Scheduler,
    worker::{IDLE, Worker},
};

impl Scheduler {
    /// Sets whether tasks have been short since the last tick, and chooses the active workers. The
    /// caller calls this after some tens of ended tasks, and also soon after tasks
    /// [wait](Scheduler::is_packed) and none ends.
    pub(crate) fn tick(&mut self, short: bool) {
        self.short = short;
        let mut places = if short { self.config.cores as usize } else { 0 };
        let mut others = Vec::new();
        for (id, worker) in self.workers.iter_mut() {
            let works = worker.actor.is_none() && (worker.ended || worker.quiet < STUCK_ROUNDS);
            if worker.active && works && places > 0 {
                places -= 1;
            } else if worker.active {
                worker.active = false;
                self.active -= 1;
                self.active_workers.remove(worker.index);
            } else if works && (worker.ended || worker.quiet == 0) {
                others.push(id);
            }
        }
        others.truncate(places);
        for id in others {
            if let Some(worker) = self.workers.get_mut(id) {
                worker.active = true;
                self.active += 1;
                self.active_workers.insert(worker.index);
            }
        }
    }

    /// Ends a round: records which workers have ended tasks in it. The caller calls this before a
    /// [tick](Scheduler::tick), at most once in a millisecond.
    pub(crate) fn end_round(&mut self) {
        for worker in self.workers.values_mut() {
            worker.quiet = match std::mem::take(&mut worker.ended) {
                true => 0,
                false => worker.quiet.saturating_add(1),
            };
        }
    }

    /// Returns whether tasks wait although a worker is idle.
    pub(crate) fn is_packed(&self) -> bool {
        self.packs() && (self.stealable > 0 || !self.ready.is_empty()) && self.any_idle()
    }

    /// Returns whether a worker that takes tasks has none that runs or could run.
    pub(super) fn any_idle(&self) -> bool {
        let least = self.room.least();
        least.is_some_and(|(rank, _)| rank <= IDLE)
    }

    /// Returns whether only active workers get tasks. Without more workers than cores there is no
    /// worker to spare. An idle one then takes tasks back from the others.
    pub(super) fn packs(&self) -> bool {
        let cores = self.config.cores as usize;
        self.short && self.active >= cores && self.workers.len() > cores
    }

    /// Returns the worker that gets the next task.
    pub(super) fn next_worker(&self) -> Option<WorkerId> {
        let least = match self.packs() {
            true => self.room.least_of(&self.active_workers),
            false => self.room.least(),
        };
        least.map(|(_, index)| self.indexes.worker(index))
    }

    /// Returns whether tasks may be taken back from this worker for an idle one.
    pub(super) fn may_steal_from(&self, worker: &Worker) -> bool {
        worker.stealable && !(worker.active && self.packs())
    }
}
