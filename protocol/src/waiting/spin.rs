//! The looks of a thread before it sleeps.

use std::{
    hint,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use super::{
    FEW_LOOKS, FREE, MANY_LOOKS, Mechanism, SPIN, SPIN_ALONE, SPIN_FREE, apart::Apart,
    yields::Yields,
};

/// Repeats a look before a sleep, and records what it has learnt of its core. An answer that comes
/// in this time costs no system call on either side, and no wake-up.
///
/// A round is a number of looks with a pause instruction between them, then a `sched_yield`, and a
/// look. A yield that takes long has let another thread run, so this core is not free. The next
/// round then has few looks, and many otherwise. The first round uses what the last call has
/// learnt.
///
/// Threads on different cores may share a `Spin`, and see different states. Then one of them looks
/// too often, or yields too early, for one round.
#[derive(Debug)]
pub struct Spin {
    /// The looks of each round on a core that others want.
    few: u32,
    /// The looks of each round on a core that no other thread wants.
    many: u32,
    /// The time after which no round begins on a core that others want.
    limit: Duration,
    /// The time after which no round begins on a core that no other thread wants.
    limit_free: Duration,
    /// The time after which the looks end if a yield would take long.
    limit_alone: Duration,
    /// Whether the last yield found the core free.
    core_is_free: AtomicBool,
    yields: Yields,
    /// The separation from the driver's core. Only a worker has it.
    apart: Option<Apart>,
}

/// The result of spinning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spun {
    /// The answer came within the limit.
    InTime,
    /// The answer came, but this thread was off its core for longer than the limit meanwhile. After
    /// a sleep it would have come no later.
    Late,
    /// No answer came.
    InVain,
}

impl Spun {
    /// Returns whether the answer came.
    pub fn is_ready(self) -> bool {
        self != Spun::InVain
    }
}

impl Spin {
    /// Returns a `Spin` for this machine. With one core it does not look without yields, since the
    /// awaited thread cannot run meanwhile.
    fn new(yields: Yields, apart: Option<Apart>) -> Spin {
        let several = thread::available_parallelism().map_or(1, usize::from) > 1;
        Spin {
            few: if several { FEW_LOOKS } else { 0 },
            many: if several { MANY_LOOKS } else { 0 },
            limit: SPIN,
            limit_free: SPIN_FREE,
            limit_alone: if several { SPIN_ALONE } else { Duration::ZERO },
            core_is_free: AtomicBool::new(false),
            yields,
            apart: apart.filter(|_| several),
        }
    }

    /// Returns a `Spin` for threads that wait for workers. Costs some system calls.
    pub fn of_the_driver() -> Spin {
        Spin::new(Yields::of_the_driver(), None)
    }

    /// Returns a `Spin` for a worker that waits for tasks. Costs some system calls.
    pub fn of_a_worker() -> Spin {
        Spin::new(Yields::of_a_worker(), Some(Apart::new()))
    }

    /// Returns the yields, for a thread with a loop of its own.
    pub fn yields(&self) -> &Yields {
        &self.yields
    }

    /// Looks until `ready` returns `true` or it is time to sleep.
    pub fn until(&self, mut ready: impl FnMut() -> bool) -> Spun {
        if ready() {
            return Spun::InTime;
        }
        if !Mechanism::Spin.is_on() {
            return Spun::InVain;
        }
        let begin = Instant::now();
        if !Mechanism::Yields.is_on() {
            return self.alone(begin, self.limit_free, ready);
        }
        match self.yields.may_yield(begin) {
            true => self.yielding(begin, ready),
            false => self.alone(begin, self.limit_alone, ready),
        }
    }

    /// Looks, with yields between.
    fn yielding(&self, begin: Instant, mut ready: impl FnMut() -> bool) -> Spun {
        let mut pauses = self.pauses(self.core_is_free.load(Relaxed));
        let mut before = begin;
        loop {
            for _ in 0..pauses {
                hint::spin_loop();
                if ready() {
                    if let Some(apart) = &self.apart {
                        apart.came_between();
                    }
                    return Spun::InTime;
                }
            }
            if pauses == self.many {
                before = Instant::now();
            }
            let after = self.yields.yield_core(before);
            let took = after.saturating_duration_since(before);
            let free = took <= FREE || !Mechanism::FreeCore.is_on();
            if ready() {
                if let Some(apart) = self.apart.as_ref().filter(|_| !free) {
                    apart.came_in_yield(after);
                }
                return match took > self.limit {
                    true => Spun::Late,
                    false => Spun::InTime,
                };
            }
            let limit = if free { self.limit_free } else { self.limit };
            if after.duration_since(begin) >= limit {
                return Spun::InVain;
            }
            self.core_is_free.store(free, Relaxed);
            pauses = self.pauses(free);
            before = after;
        }
    }

    /// Looks without yields.
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
        let spin = Spin {
            few: 5,
            many: 5,
            limit: Duration::from_secs(1_000),
            limit_free: Duration::from_millis(1),
            limit_alone: Duration::from_millis(1),
            ..Spin::of_the_driver()
        };
        let mut looks = 0;
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
        assert_eq!(Spin::of_a_worker().until(|| false), Spun::InVain);
    }

    #[test]
    fn what_is_found_after_a_long_absence_is_late() {
        let spin = Spin {
            few: 1,
            many: 1,
            limit: Duration::from_nanos(1),
            limit_free: Duration::from_secs(1_000),
            limit_alone: Duration::from_secs(1_000),
            ..Spin::of_a_worker()
        };
        // The second look comes before the first yield, the third one after it, and no yield takes
        // as little as a nanosecond.
        let mut looks = 0;
        let spun = spin.until(|| {
            looks += 1;
            looks == 3
        });
        assert_eq!((spun, looks), (Spun::Late, 3));
        assert!(spun.is_ready());
    }
}
