//! Decides whether a waiting thread should offer its core to others.
//!
//! A yield lets another thread run that wants this core. If that thread gives the answer, or waits
//! too, the yield takes microseconds. If it computes, the kernel leaves it the core for
//! milliseconds, since Linux counts a yield as the use of a whole slice. A sleep is better then,
//! since a woken thread runs before a thread that computes.
//!
//! So a yield that took long bars further yields for much longer than it took. All yields together
//! then cost a small part of the time.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use super::{Mechanism, REST, REST_OF_A_WORKER, SHORT_YIELD, SHORT_YIELD_OF_A_WORKER};

/// The last long yield, and the time in which it bars further yields. A long yield shows that a
/// thread computes on this core.
///
/// Threads on different cores may share a `Yields`, and see different states. Then one of them
/// sleeps too early for a while.
#[derive(Debug)]
pub struct Yields {
    /// A yield that took no longer has passed the core to a thread that waits, too.
    short: Duration,
    /// After a longer yield there is none for this many times its length.
    rest: u32,
    /// The origin of the times below.
    began: Instant,
    /// The time, in nanoseconds, before which no thread yields.
    barred_until: AtomicU64,
}

impl Yields {
    fn new(short: Duration, rest: u32) -> Yields {
        Yields {
            short,
            rest,
            began: Instant::now(),
            barred_until: AtomicU64::new(0),
        }
    }

    /// Returns the yields of threads that wait for workers.
    pub(super) fn of_the_driver() -> Yields {
        Yields::new(SHORT_YIELD, REST)
    }

    /// Returns the yields of a worker.
    pub(super) fn of_a_worker() -> Yields {
        Yields::new(SHORT_YIELD_OF_A_WORKER, REST_OF_A_WORKER)
    }

    /// Returns whether a thread may yield. Costs a load if yields are short.
    pub fn may_yield(&self, now: Instant) -> bool {
        let until = self.barred_until.load(Relaxed);
        until == 0 || !Mechanism::Bars.is_on() || self.nanoseconds(now) >= until
    }

    /// Yields, and returns the time after the yield. `before` is the time before it.
    pub fn yield_core(&self, before: Instant) -> Instant {
        thread::yield_now();
        let after = Instant::now();
        if after.saturating_duration_since(before) > self.short {
            self.took_long(self.nanoseconds(before), self.nanoseconds(after));
        }
        after
    }

    /// Records a long yield between these times.
    #[cold]
    fn took_long(&self, before: u64, after: u64) {
        let took = after.saturating_sub(before);
        let rest = took.saturating_mul(self.rest.into());
        self.barred_until.store(after.saturating_add(rest), Relaxed);
    }

    fn nanoseconds(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.began);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_long_yield_bars_others_for_a_multiple_of_its_time() {
        let yields = Yields::of_the_driver();
        let at = |ms| yields.began + Duration::from_millis(ms);
        assert!(yields.may_yield(at(0)));
        yields.took_long(5 * MS, 9 * MS);
        assert!(!yields.may_yield(at(208)) && yields.may_yield(at(209)));
        // The next long yield counts by itself.
        yields.took_long(210 * MS, 211 * MS);
        assert!(!yields.may_yield(at(260)) && yields.may_yield(at(261)));
        let worker = Yields::of_a_worker();
        worker.took_long(0, 4 * MS);
        assert_eq!(worker.barred_until.load(Relaxed), 36 * MS);
    }

    #[test]
    fn times_out_of_range_do_no_harm() {
        let yields = Yields::of_the_driver();
        yields.took_long(1, u64::MAX - 1);
        assert_eq!(yields.barred_until.load(Relaxed), u64::MAX);
        assert!(!yields.may_yield(Instant::now()));
        let early = yields.began - Duration::from_nanos(1);
        assert_eq!(yields.nanoseconds(early), 0);
    }
}
