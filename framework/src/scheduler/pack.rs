//! Few workers for short tasks.
//!
//! Where there are more workers than cores, short tasks are best run by as many workers as there
//! are cores: one more to wake costs more than the task, and pushes what the others have in their
//! caches out of them. So while tasks are short, they go to *active* workers only, and wait for
//! those if they are full. There are as many as cores. A worker is active as long as it ends tasks;
//! one that gets stuck in a long one is not any more some [rounds](Scheduler::take_stock) later,
//! and what it has not started is taken back from it. Not at the first of them: workers take turns
//! on the cores, and one that waits for its turn, which takes milliseconds, would be taken for
//! stuck; one more in its place would make the turns longer. As soon as tasks are not short, each
//! idle worker gets one.

use mobula_protocol::waiting::STUCK_ROUNDS;

use super::{
    Scheduler,
    worker::{IDLE, Worker},
};

impl Scheduler {
    /// Says whether tasks have been short since the last tick. To be called after some tens of
    /// ends, and soon after no end has come while tasks [wait](Scheduler::is_packed).
    pub(crate) fn tick(&mut self, short: bool) {
        self.short = short;
        let mut places = if short { self.config.cores as usize } else { 0 };
        let mut others = Vec::new();
        for (id, worker) in &mut self.workers {
            let works = worker.actor.is_none() && (worker.ended || worker.quiet < STUCK_ROUNDS);
            if worker.active && works && places > 0 {
                places -= 1;
            } else if worker.active {
                worker.active = false;
                self.active -= 1;
                self.active_seats.remove(worker.seat);
            } else if works && (worker.ended || worker.quiet == 0) {
                others.push(*id);
            }
        }
        others.truncate(places);
        for id in others {
            if let Some(worker) = self.workers.get_mut(&id) {
                worker.active = true;
                self.active += 1;
                self.active_seats.insert(worker.seat);
            }
        }
    }

    /// Ends a round: looks who has ended tasks in it. To be called each few milliseconds, before a
    /// [tick](Scheduler::tick).
    pub(crate) fn end_round(&mut self) {
        for worker in self.workers.values_mut() {
            worker.quiet = match std::mem::take(&mut worker.ended) {
                true => 0,
                false => worker.quiet.saturating_add(1),
            };
        }
    }

    /// Whether tasks wait although a worker is idle.
    pub(crate) fn is_packed(&self) -> bool {
        self.packs() && (self.stealable > 0 || !self.ready.is_empty()) && self.any_idle()
    }

    /// Whether a worker that takes tasks has none that runs or could run.
    pub(super) fn any_idle(&self) -> bool {
        let least = self.room.least();
        least.is_some_and(|(rank, _)| rank <= IDLE)
    }

    /// Whether only active workers get tasks. Without more workers than cores there is none to
    /// spare, and an idle one takes tasks back from the other ones.
    pub(super) fn packs(&self) -> bool {
        let cores = self.config.cores as usize;
        self.short && self.active >= cores && self.workers.len() > cores
    }

    /// The seat of the worker that gets the next task.
    pub(super) fn next_seat(&self) -> Option<usize> {
        let least = match self.packs() {
            true => self.room.least_of(&self.active_seats),
            false => self.room.least(),
        };
        least.map(|(_, seat)| seat)
    }

    /// Whether tasks may be taken back from this worker for one that is idle.
    pub(super) fn may_steal_from(&self, worker: &Worker) -> bool {
        worker.stealable && !(worker.active && self.packs())
    }
}
