//! Whether a thread that waits should offer its core to others.
//!
//! A yield lets somebody else run who wants this core. If that is one who answers, or waits like we
//! do, it takes microseconds. If it computes, the scheduler leaves it the core for milliseconds,
//! whatever happens meanwhile: Linux counts a yield as the use of a whole slice. A sleeper is better
//! off there, since who is woken goes before one who computes. So a yield that took long bars further
//! ones for much longer than it took; what they cost in all is a small part of the time.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// When a yield has shown that somebody computes here, and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Yields {
    /// One that took no longer has passed the core on to somebody who waits, too.
    pub short: Duration,
    /// After a longer one there is none for so many times as long.
    pub rest: u32,
}

/// Nanoseconds of [`since_start`] before which nobody of this process yields. Threads on different
/// cores may see different things; then one of them sleeps too early for a while.
static BARRED_UNTIL: AtomicU64 = AtomicU64::new(0);

/// Whether it is worth a try. Costs a load where yields are short.
pub fn may_yield(now: Instant) -> bool {
    let until = BARRED_UNTIL.load(Ordering::Relaxed);
    until == 0 || since_start(now) >= until
}

impl Yields {
    /// For a thread that waits for workers.
    pub const DRIVER: Yields = Yields {
        short: Duration::from_micros(300),
        rest: 50,
    };

    /// For a worker. The driver may be at work on the same core, handing out tasks, and to be woken
    /// for each of them would cost more than to wait for its end.
    pub const WORKER: Yields = Yields {
        short: Duration::from_millis(2),
        rest: 8,
    };

    /// Yields; returns the time after it. `before` is the time before it.
    pub fn yield_core(self, before: Instant) -> Instant {
        thread::yield_now();
        let after = Instant::now();
        if let Some(until) = self.barred_until(since_start(before), since_start(after)) {
            BARRED_UNTIL.store(until, Ordering::Relaxed);
        }
        after
    }

    fn barred_until(self, before: u64, after: u64) -> Option<u64> {
        let took = after.saturating_sub(before);
        (u128::from(took) > self.short.as_nanos())
            .then(|| after.saturating_add(took.saturating_mul(u64::from(self.rest))))
    }
}

/// Nanoseconds since the first call in this process.
fn since_start(now: Instant) -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(|| now);
    u64::try_from(now.saturating_duration_since(start).as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_yields_bar_others_for_a_multiple_of_their_time() {
        let bar = |before, after| Yields::DRIVER.barred_until(before, after);
        assert_eq!(bar(1_000, 301_000), None);
        assert_eq!(bar(0, 4_000_000), Some(204_000_000));
        assert_eq!(bar(u64::MAX - 1_000_000, u64::MAX), Some(u64::MAX));
        assert_eq!(bar(5, 0), None);
        assert_eq!(Yields::WORKER.barred_until(0, 2_000_000), None);
    }
}
