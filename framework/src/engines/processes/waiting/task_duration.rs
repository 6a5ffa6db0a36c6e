//! An estimate of how long tasks take at the moment. It decides whether to wake a further worker
//! for a task.

use std::time::Instant;

use mobula_protocol::waiting::{ENDS, Mechanism, ROUND, SHORT, STUCK};

use crate::scheduler::Scheduler;

#[derive(Debug)]
pub(in crate::engines::processes) struct TaskDurationEstimate {
    since: Instant,
    ended: u32,
    round: Instant,
}

impl TaskDurationEstimate {
    pub(in crate::engines::processes) fn new() -> TaskDurationEstimate {
        let now = Instant::now();
        TaskDurationEstimate {
            since: now,
            ended: 0,
            round: now,
        }
    }

    /// Counts tasks that have ended. Tells the scheduler now and then.
    pub(in crate::engines::processes) fn count(&mut self, ended: u32, scheduler: &mut Scheduler) {
        self.ended += ended;
        if self.ended >= ENDS {
            self.tick(Instant::now(), scheduler);
        }
    }

    /// Tells the scheduler if tasks wait and nothing has ended for a while.
    pub(in crate::engines::processes) fn look(&mut self, scheduler: &mut Scheduler) {
        if scheduler.is_packed() {
            let now = Instant::now();
            if now.duration_since(self.since) >= STUCK {
                self.tick(now, scheduler);
            }
        }
    }

    fn tick(&mut self, now: Instant, scheduler: &mut Scheduler) {
        if now.duration_since(self.round) >= ROUND {
            self.round = now;
            scheduler.end_round();
        }
        // Computed as if one worker had run the tasks one after the other. Several workers make a
        // task look shorter than it is. If the cores were busy, the factor is at most the number of
        // cores.
        let each = now.duration_since(self.since) / self.ended.max(1);
        scheduler.tick(Mechanism::Packing.is_on() && self.ended > 0 && each <= SHORT);
        self.since = now;
        self.ended = 0;
    }
}
