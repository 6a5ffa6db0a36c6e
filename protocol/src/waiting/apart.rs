//! Separates two threads that wait for each other on one core.
//!
//! If the other cores are busy at a wake-up, Linux puts the woken thread on the core of the waking
//! one. There the two threads hand the core to each other by yields, some thousand times in one
//! slice of another thread. So both have run just now whenever the balancer checks. It leaves such
//! threads in place, also when the other core has become free. A round trip then takes two switches
//! between threads, which is several times longer than between two cores.
//!
//! The thread that finds its answers right after yields therefore leaves the core. It removes the
//! core from those that it may use, and adds it again at once. Only the worker does this, since a
//! thread of the driver belongs to the user.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Instant,
};

use rustix::thread::{sched_getaffinity, sched_getcpu, sched_setaffinity};

use super::{APART_AFTER, APART_REST, Mechanism};

/// Moves a worker's thread to another core: see the [module](self).
#[derive(Debug)]
pub(super) struct Apart {
    began: Instant,
    /// The number of answers in a row that came in a yield.
    in_yields: AtomicU32,
    /// The time, in nanoseconds since `began`, before which there is no further move.
    rest_until: AtomicU64,
}

impl Apart {
    pub(super) fn new() -> Apart {
        Apart {
            began: Instant::now(),
            in_yields: AtomicU32::new(0),
            rest_until: AtomicU64::new(0),
        }
    }

    /// Records that an answer came without a yield. So a thread on another core gave it.
    #[inline]
    pub(super) fn came_between(&self) {
        if self.in_yields.load(Relaxed) != 0 {
            self.in_yields.store(0, Relaxed);
        }
    }

    /// Records that an answer came in a yield that ended at `now`. Leaves the core if
    /// [`APART_AFTER`] answers in a row did.
    #[inline]
    pub(super) fn came_in_yield(&self, now: Instant) {
        let many = self.in_yields.load(Relaxed) + 1;
        self.in_yields.store(many % APART_AFTER, Relaxed);
        if many == APART_AFTER && Mechanism::Apart.is_on() {
            self.part(now);
        }
    }

    #[cold]
    fn part(&self, now: Instant) {
        let now = now.saturating_duration_since(self.began);
        let nanoseconds = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        if nanoseconds < self.rest_until.load(Relaxed) {
            return;
        }
        let rest = u64::try_from(APART_REST.as_nanos()).unwrap_or(u64::MAX);
        self.rest_until
            .store(nanoseconds.saturating_add(rest), Relaxed);
        leave_core();
    }
}

/// Moves this thread to another core that it may use, if there is one.
fn leave_core() {
    let Ok(all) = sched_getaffinity(None) else {
        return;
    };
    let mut others = all;
    others.unset(sched_getcpu());
    if others.count() > 0 && sched_setaffinity(None, &others).is_ok() {
        // This set was allowed before, so the call does not fail.
        let _ = sched_setaffinity(None, &all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_leaves_its_core_may_use_it_again() {
        let before = sched_getaffinity(None).unwrap();
        leave_core();
        assert!(sched_getaffinity(None).unwrap() == before);
    }

    #[test]
    fn only_answers_in_a_row_count() {
        let apart = Apart::new();
        let now = Instant::now();
        for _ in 0..3 {
            (1..APART_AFTER).for_each(|_| apart.came_in_yield(now));
            apart.came_between();
        }
        assert_eq!(apart.rest_until.load(Relaxed), 0);
        (0..APART_AFTER).for_each(|_| apart.came_in_yield(now));
        assert!(apart.rest_until.load(Relaxed) > 0);
    }
}
