//! How long tasks take at the moment, roughly: whether waking a further worker for one is worth it.

use std::time::{Duration, Instant};

use crate::scheduler::Scheduler;

/// A task that takes no longer is short: about what it costs to wake a worker and to have it find
/// its way back into the caches.
const SHORT: Duration = Duration::from_micros(10);

/// Ends of tasks between two looks at the clock.
const ENDS: u32 = 64;

/// How long tasks wait for active workers that end none.
pub(in crate::engines::processes) const STUCK: Duration = Duration::from_millis(1);

/// How long a round takes at least, in which each active worker should end a task.
const ROUND: Duration = Duration::from_millis(1);

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

    /// So many tasks have ended. Tells the scheduler now and then.
    pub(in crate::engines::processes) fn count(&mut self, ended: u32, scheduler: &mut Scheduler) {
        self.ended += ended;
        if self.ended >= ENDS {
            self.tick(Instant::now(), scheduler);
        }
    }

    /// Tells the scheduler, if tasks wait and nothing has ended for a while.
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
        // As if one worker had run them one after the other: several make a task look shorter than
        // it is, by as many as there are cores at most where they have been busy.
        let each = now.duration_since(self.since) / self.ended.max(1);
        scheduler.tick(self.ended > 0 && each <= SHORT);
        self.since = now;
        self.ended = 0;
    }
}
