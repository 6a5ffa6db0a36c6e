//! Whether a thread that waits should offer its core to others.
//!
//! A yield lets somebody else run who wants this core. If that is one who answers, or waits like we
//! do, it takes microseconds. If it computes, the kernel leaves it the core for milliseconds,
//! whatever happens meanwhile: Linux counts a yield as the use of a whole slice. A sleeper is
//! better off there, since who is woken goes before one who computes. So a yield that took long
//! bars further ones for much longer than it took; what they cost in all is a small part of the
//! time.
//!
//! One alone says nothing: a thread of the kernel's had something to do, or the hypervisor took the
//! core away. To sleep instead would make the next thousands of answers slower. So it takes two,
//! the second within the time that it would bar, counted from the first or from the end of what
//! they barred.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use super::{Mechanism, REST, REST_OF_A_WORKER, SHORT_YIELD, SHORT_YIELD_OF_A_WORKER};

/// When yields have shown that somebody computes here, and what follows.
///
/// Threads on different cores may share it, and see different things. Then one of them sleeps too
/// early for a while.
#[derive(Debug)]
pub struct Yields {
    /// One that took no longer has passed the core on to somebody who waits, too.
    short: Duration,
    /// After two longer ones there is none for so many times as long.
    rest: u32,
    /// The times below count from here.
    began: Instant,
    /// Nanoseconds before which nobody yields.
    barred_until: AtomicU64,
    /// Nanoseconds before which the next long yield bars others.
    suspect_until: AtomicU64,
}

impl Yields {
    fn new(short: Duration, rest: u32) -> Yields {
        Yields {
            short,
            rest,
            began: Instant::now(),
            barred_until: AtomicU64::new(0),
            suspect_until: AtomicU64::new(0),
        }
    }

    /// For threads that wait for workers.
    pub(super) fn of_the_driver() -> Yields {
        Yields::new(SHORT_YIELD, REST)
    }

    /// For a worker.
    pub(super) fn of_a_worker() -> Yields {
        Yields::new(SHORT_YIELD_OF_A_WORKER, REST_OF_A_WORKER)
    }

    /// Whether a yield is worth a try. Costs a load where yields are short.
    pub fn may_yield(&self, now: Instant) -> bool {
        let until = self.barred_until.load(Relaxed);
        until == 0 || !Mechanism::Bars.is_on() || self.nanoseconds(now) >= until
    }

    /// Yields; returns the time after it. `before` is the time before it.
    pub fn yield_core(&self, before: Instant) -> Instant {
        thread::yield_now();
        let after = Instant::now();
        if after.saturating_duration_since(before) > self.short {
            self.took_long(self.nanoseconds(before), self.nanoseconds(after));
        }
        after
    }

    /// Notes a long yield between these times.
    #[cold]
    fn took_long(&self, before: u64, after: u64) {
        let took = after.saturating_sub(before);
        let rest = took.saturating_mul(self.rest.into());
        let mut end = after;
        if before < self.suspect_until.load(Relaxed) || !Mechanism::Doubt.is_on() {
            end = after.saturating_add(rest);
            self.barred_until.store(end, Relaxed);
        }
        self.suspect_until.store(end.saturating_add(rest), Relaxed);
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

    /// Notes a long yield, and says until when others are barred and suspect.
    fn note(yields: &Yields, before: u64, after: u64) -> (u64, u64) {
        yields.took_long(before, after);
        let [barred, suspect] = [&yields.barred_until, &yields.suspect_until];
        (barred.load(Relaxed), suspect.load(Relaxed))
    }

    #[test]
    fn two_long_yields_in_a_row_bar_others_for_a_multiple_of_their_time() {
        let yields = Yields::of_the_driver();
        assert_eq!(note(&yields, 0, 4 * MS), (0, 204 * MS));
        assert!(yields.may_yield(yields.began + Duration::from_millis(6)));
        assert_eq!(note(&yields, 5 * MS, 9 * MS), (209 * MS, 409 * MS));
        let at = |ms| yields.began + Duration::from_millis(ms);
        assert!(!yields.may_yield(at(208)) && yields.may_yield(at(209)));
        // Right after what these have barred, one is enough; later it takes two again.
        assert_eq!(note(&yields, 210 * MS, 214 * MS), (414 * MS, 614 * MS));
        assert_eq!(note(&yields, 615 * MS, 619 * MS), (414 * MS, 819 * MS));
    }

    #[test]
    fn a_short_yield_bars_nothing() {
        let yields = Yields::of_a_worker();
        (0..100).for_each(|_| {
            let before = Instant::now();
            // A test beside others can wait for its core for long.
            let long = yields.yield_core(before) - before > SHORT_YIELD_OF_A_WORKER;
            if long {
                yields.suspect_until.store(0, Relaxed);
            }
        });
        assert_eq!(yields.barred_until.load(Relaxed), 0);
    }

    #[test]
    fn times_out_of_range_do_no_harm() {
        let yields = Yields::of_the_driver();
        note(&yields, 0, MS);
        assert_eq!(note(&yields, 1, u64::MAX - 1), (u64::MAX, u64::MAX));
        assert!(!yields.may_yield(Instant::now()));
        let early = yields.began - Duration::from_nanos(1);
        assert_eq!(yields.nanoseconds(early), 0);
    }
}
