//! What a thread does before it sleeps.

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

/// How a thread looks again and again before it sleeps, and what it has seen of its core. An answer
/// that comes within that time costs no system call on either side, and no wake-up.
///
/// Each round is some looks with nothing but a pause instruction between them, then a
/// `sched_yield`, and a look. A yield that takes long has let somebody else run, so this core is
/// not free: the looks of the next round are only a few then, and many otherwise. The first round
/// goes by what the last one has seen.
///
/// Threads on different cores may share it, and see different things. Then one of them looks too
/// often, or yields too early, for one round.
#[derive(Debug)]
pub struct Spin {
    /// Looks of each round on a core that others want.
    few: u32,
    /// Looks of each round on a core that nobody else wants.
    many: u32,
    /// No more rounds after this much time on a core that others want.
    limit: Duration,
    /// No more rounds after this much time on a core that nobody else wants.
    limit_free: Duration,
    /// No more looks after this much time where a yield would take long.
    limit_alone: Duration,
    /// What was seen last.
    core_is_free: AtomicBool,
    yields: Yields,
    /// For a worker.
    apart: Option<Apart>,
}

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
    /// What suits this machine. With one core, whoever is waited for cannot run while we spin.
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

    /// For threads that wait for workers. Costs some system calls.
    pub fn of_the_driver() -> Spin {
        Spin::new(Yields::of_the_driver(), None)
    }

    /// For a worker that waits for tasks. Costs some system calls.
    pub fn of_a_worker() -> Spin {
        Spin::new(Yields::of_a_worker(), Some(Apart::new()))
    }

    /// The yields, for a thread that looks by itself.
    pub fn yields(&self) -> &Yields {
        &self.yields
    }

    /// Looks until `ready` says yes or it is time to sleep.
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

    /// Looks, with yields in between.
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
