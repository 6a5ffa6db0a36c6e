//! What a thread does before it sleeps.

use std::{
    hint,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    FEW_LOOKS, FREE, MANY_LOOKS, Mechanism, SPIN, SPIN_ALONE, SPIN_FREE,
    yields::{Yields, may_yield},
};

/// How long to look again and again before sleeping. An answer that comes within that time costs no
/// system call on either side, and no wake-up.
///
/// Each round is some looks with nothing but a pause instruction between them, then a
/// `sched_yield`, and a look. A yield that takes long has let somebody else run, so this core is
/// not free: the looks of the next round are only a few then, and many otherwise. The first round
/// goes by what the last one has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spin {
    /// Looks of each round on a core that others want.
    pub few: u32,
    /// Looks of each round on a core that nobody else wants.
    pub many: u32,
    /// No more rounds after this much time on a core that others want.
    pub limit: Duration,
    /// No more rounds after this much time on a core that nobody else wants.
    pub limit_free: Duration,
    /// No more looks after this much time where a yield would take long: see [`may_yield`].
    pub limit_alone: Duration,
    /// Which yields are long.
    pub yields: Yields,
}

/// What this process saw last. Threads on different cores may see different things; then one of
/// them looks too often, or yields too early, for one round.
static CORE_IS_FREE: AtomicBool = AtomicBool::new(false);

/// What came of spinning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spun {
    /// Ready, within the limit.
    InTime,
    /// Ready, but this thread was off its core for longer than the limit meanwhile: it would have
    /// come no later after a sleep.
    Late,
    /// Not ready.
    InVain,
}

impl Spun {
    /// Whether it is ready.
    pub fn is_ready(self) -> bool {
        self != Spun::InVain
    }
}

impl Spin {
    /// No look but the first.
    pub const NONE: Spin = Spin {
        few: 0,
        many: 0,
        limit: Duration::ZERO,
        limit_free: Duration::ZERO,
        limit_alone: Duration::ZERO,
        yields: Yields::DRIVER,
    };

    /// What suits this machine, for a thread of the driver. With one core, whoever is waited for
    /// cannot run while we spin.
    pub fn for_this_machine() -> Spin {
        static CORES: OnceLock<usize> = OnceLock::new();
        let cores = *CORES.get_or_init(|| thread::available_parallelism().map_or(1, usize::from));
        Spin {
            few: if cores > 1 { FEW_LOOKS } else { 0 },
            many: if cores > 1 { MANY_LOOKS } else { 0 },
            limit: SPIN,
            limit_free: SPIN_FREE,
            limit_alone: if cores > 1 {
                SPIN_ALONE
            } else {
                Duration::ZERO
            },
            yields: Yields::DRIVER,
        }
    }

    /// The same, for a worker that waits for a task.
    pub fn for_a_worker() -> Spin {
        Spin {
            yields: Yields::WORKER,
            ..Spin::for_this_machine()
        }
    }

    /// Looks until `ready` says yes or it is time to sleep.
    pub fn until(&self, mut ready: impl FnMut() -> bool) -> Spun {
        if ready() {
            return Spun::InTime;
        }
        if self.limit.is_zero() || !Mechanism::Spin.is_on() {
            return Spun::InVain;
        }
        let begin = Instant::now();
        if !Mechanism::Yields.is_on() {
            return self.alone(begin, self.limit_free, ready);
        }
        match may_yield(begin) {
            true => self.yielding(begin, ready),
            false => self.alone(begin, self.limit_alone, ready),
        }
    }

    /// Looks, with yields in between.
    pub(super) fn yielding(&self, begin: Instant, mut ready: impl FnMut() -> bool) -> Spun {
        let mut pauses = self.pauses(CORE_IS_FREE.load(Ordering::Relaxed));
        let mut before = begin;
        loop {
            for _ in 0..pauses {
                hint::spin_loop();
                if ready() {
                    return Spun::InTime;
                }
            }
            if pauses == self.many {
                before = Instant::now();
            }
            let after = self.yields.yield_core(before);
            if ready() {
                return match after.duration_since(before) > self.limit {
                    true => Spun::Late,
                    false => Spun::InTime,
                };
            }
            let free = after.duration_since(before) <= FREE || !Mechanism::FreeCore.is_on();
            let limit = if free { self.limit_free } else { self.limit };
            if after.duration_since(begin) >= limit {
                return Spun::InVain;
            }
            CORE_IS_FREE.store(free, Ordering::Relaxed);
            pauses = self.pauses(free);
            before = after;
        }
    }

    /// Looks without a yield.
    fn alone(&self, begin: Instant, limit: Duration, mut ready: impl FnMut() -> bool) -> Spun {
        loop {
            for _ in 0..self.few {
                hint::spin_loop();
                if ready() {
                    return Spun::InTime;
                }
            }
            if begin.elapsed() >= limit {
                return Spun::InVain;
            }
        }
    }

    fn pauses(&self, free: bool) -> u32 {
        if free { self.many } else { self.few }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spinning_has_an_end_and_stops_early() {
        let mut looks = 0;
        let spun = Spin::NONE.until(|| {
            looks += 1;
            false
        });
        assert_eq!((spun, looks), (Spun::InVain, 1));

        let spin = Spin {
            few: 5,
            many: 5,
            limit: Duration::from_secs(1_000),
            limit_free: Duration::from_millis(1),
            limit_alone: Duration::from_millis(1),
            yields: Yields::DRIVER,
        };
        looks = 0;
        let spun = spin.until(|| {
            looks += 1;
            looks == 7
        });
        assert_eq!((spun, looks), (Spun::InTime, 7));

        let spin = Spin {
            limit: Duration::from_millis(1),
            ..spin
        };
        looks = 0;
        let spun = spin.until(|| {
            looks += 1;
            false
        });
        assert_eq!(spun, Spun::InVain);
        assert!(looks > 6, "{looks}");
        assert_eq!(Spin::for_this_machine().until(|| false), Spun::InVain);
    }

    #[test]
    fn what_is_found_after_a_long_absence_is_late() {
        let spin = Spin {
            few: 1,
            many: 1,
            limit: Duration::from_nanos(1),
            limit_free: Duration::from_secs(1_000),
            limit_alone: Duration::from_secs(1_000),
            yields: Yields::DRIVER,
        };
        // The second look comes after the first yield, and no yield takes as little as a nanosecond.
        // Not through `until`, which does not yield while another test's long yield bars it.
        let mut looks = 0;
        let spun = spin.yielding(Instant::now(), || {
            looks += 1;
            looks == 2
        });
        assert_eq!((spun, looks), (Spun::Late, 2));
        assert!(spun.is_ready());
    }
}
