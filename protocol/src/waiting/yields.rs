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
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Mechanism, REST, REST_OF_A_WORKER, SHORT_YIELD, SHORT_YIELD_OF_A_WORKER};

/// When yields have shown that somebody computes here, and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Yields {
    /// One that took no longer has passed the core on to somebody who waits, too.
    pub short: Duration,
    /// After two longer ones there is none for so many times as long.
    pub rest: u32,
}

/// Nanoseconds of [`since_start`] before which nobody of this process yields. Threads on different
/// cores may see different things; then one of them sleeps too early for a while.
static BARRED_UNTIL: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds of [`since_start`] before which the next long yield bars others.
static SUSPECT_UNTIL: AtomicU64 = AtomicU64::new(0);

/// Whether it is worth a try. Costs a load where yields are short.
pub fn may_yield(now: Instant) -> bool {
    let until = BARRED_UNTIL.load(Ordering::Relaxed);
    until == 0 || !Mechanism::Bars.is_on() || since_start(now) >= until
}

impl Yields {
    /// For a thread that waits for workers.
    pub const DRIVER: Yields = Yields {
        short: SHORT_YIELD,
        rest: REST,
    };

    /// For a worker.
    pub const WORKER: Yields = Yields {
        short: SHORT_YIELD_OF_A_WORKER,
        rest: REST_OF_A_WORKER,
    };

    /// Yields; returns the time after it. `before` is the time before it.
    pub fn yield_core(self, before: Instant) -> Instant {
        thread::yield_now();
        let after = Instant::now();
        let suspect = SUSPECT_UNTIL.load(Ordering::Relaxed);
        if let Some(verdict) = self.judge(since_start(before), since_start(after), suspect) {
            SUSPECT_UNTIL.store(verdict.suspect_until, Ordering::Relaxed);
            if let Some(until) = verdict.barred_until {
                BARRED_UNTIL.store(until, Ordering::Relaxed);
            }
        }
        after
    }

    /// What a yield between these times says, if it took long.
    fn judge(self, before: u64, after: u64, suspect_until: u64) -> Option<Verdict> {
        let took = after.saturating_sub(before);
        if u128::from(took) <= self.short.as_nanos() {
            return None;
        }
        let rest = took.saturating_mul(self.rest.into());
        let barred_until = (before < suspect_until || !Mechanism::Doubt.is_on())
            .then(|| after.saturating_add(rest));
        let suspect_until = barred_until.unwrap_or(after).saturating_add(rest);
        Some(Verdict {
            barred_until,
            suspect_until,
        })
    }
}

/// See [`Yields::judge`].
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    barred_until: Option<u64>,
    suspect_until: u64,
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

    const MS: u64 = 1_000_000;

    #[test]
    fn two_long_yields_in_a_row_bar_others_for_a_multiple_of_their_time() {
        let judge = |before, after, suspect| Yields::DRIVER.judge(before, after, suspect);
        assert_eq!(judge(1_000, 301_000, u64::MAX), None);
        let first = judge(0, 4 * MS, 0).unwrap();
        let (barred_until, suspect_until) = (None, 204 * MS);
        assert_eq!(
            first,
            Verdict {
                barred_until,
                suspect_until
            }
        );
        let second = judge(5 * MS, 9 * MS, suspect_until).unwrap();
        let (barred_until, suspect_until) = (Some(209 * MS), 409 * MS);
        assert_eq!(
            second,
            Verdict {
                barred_until,
                suspect_until
            }
        );
        // Right after what these have barred, one is enough; later it takes two again.
        let third = judge(210 * MS, 214 * MS, suspect_until).unwrap();
        assert_eq!(third.barred_until, Some(414 * MS));
        let late = judge(410 * MS, 414 * MS, suspect_until).unwrap();
        assert_eq!(late.barred_until, None);
    }

    #[test]
    fn times_out_of_range_do_no_harm() {
        let judge = |before, after| Yields::DRIVER.judge(before, after, u64::MAX);
        let late = judge(u64::MAX - MS, u64::MAX - 1).unwrap();
        assert_eq!(late.barred_until, Some(u64::MAX));
        assert_eq!(judge(5, 0), None);
        assert_eq!(Yields::WORKER.judge(0, 2 * MS, u64::MAX), None);
    }
}
