//! How two who wait for each other leave a core that they share.
//!
//! Linux puts a thread that is woken beside the one that wakes it where the other cores are taken
//! at that moment. There the two hand the core to each other by yields, some thousand times in the
//! slice of anybody else. So both have run just now whenever the balancer looks, which leaves such
//! threads where they are, also when the other core has become free. A round trip takes two
//! switches between threads then, several times what it takes between two cores.
//!
//! The one of the two that finds its answers right behind yields therefore leaves the core: it
//! forbids it to itself, and allows it again at once. Only the worker does that, since a thread of
//! the driver is the user's.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Instant,
};

use rustix::thread::{sched_getaffinity, sched_getcpu, sched_setaffinity};

use super::{APART_AFTER, APART_REST, Mechanism};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Apart {
    began: Instant,
    /// So many answers in a row came in a yield.
    in_yields: AtomicU32,
    /// Nanoseconds before which there is no further move.
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

    /// An answer came without a yield, so another core gave it.
    #[inline]
    pub(super) fn came_between(&self) {
        if self.in_yields.load(Relaxed) != 0 {
            self.in_yields.store(0, Relaxed);
        }
    }

    /// An answer came in a yield that ended at `now`. Leaves the core if many have.
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
        // It was allowed before.
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
