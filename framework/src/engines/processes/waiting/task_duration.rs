//! A rough estimate of the present duration of tasks. It decides whether the wake-up of a further
//! worker for a task pays.

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

    /// Counts ended tasks. Tells the scheduler after every `ENDS` of them.
    pub(in crate::engines::processes) fn count(&mut self, ended: u32, scheduler: &mut Scheduler) {
        self.ended += ended;
        if self.ended >= ENDS {
            self.tick(Instant::now(), scheduler);
        }
    }

    /// Tells the scheduler if tasks wait and none has ended for `STUCK`.
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
        // The estimate assumes one worker that runs the tasks one after the other. With several
        // workers a task looks shorter than it is, by at most the number of busy cores.
        let each = now.duration_since(self.since) / self.ended.max(1);
        scheduler.tick(Mechanism::Packing.is_on() && self.ended > 0 && each <= SHORT);
        self.since = now;
        self.ended = 0;
    }
}
