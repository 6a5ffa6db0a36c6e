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

use super::yields::{Yields, may_yield};

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
    /// No more rounds after this much time on a core that nobody else wants: about what a sleep and
    /// a wake-up take together, so that at most twice as much is spent as with the better of the
    /// two (Karlin et al., "Competitive snoopy caching", 1988).
    pub limit_free: Duration,
    /// No more looks after this much time where a yield would take long: see [`may_yield`].
    pub limit_alone: Duration,
    /// Which yields are long.
    pub yields: Yields,
}

/// What this process saw last. Threads on different cores may see different things; then one of
/// them looks too often, or yields too early, for one round.
static CORE_IS_FREE: AtomicBool = AtomicBool::new(false);

/// A yield that took no longer has found nobody else to run.
const FREE: Duration = Duration::from_nanos(1_000);

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
            few: if cores > 1 { 5 } else { 0 },
            many: if cores > 1 { 60 } else { 0 },
            limit: Duration::from_micros(12),
            limit_free: Duration::from_micros(60),
            limit_alone: Duration::from_micros(if cores > 1 { 3 } else { 0 }),
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
        if self.limit.is_zero() {
            return Spun::InVain;
        }
        let begin = Instant::now();
        match may_yield(begin) {
            true => self.yielding(begin, ready),
            false => self.alone(begin, ready),
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
            let free = after.duration_since(before) <= FREE;
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
    fn alone(&self, begin: Instant, mut ready: impl FnMut() -> bool) -> Spun {
        loop {
            for _ in 0..self.few {
                hint::spin_loop();
                if ready() {
                    return Spun::InTime;
                }
            }
            if begin.elapsed() >= self.limit_alone {
                return Spun::InVain;
            }
        }
    }

    fn pauses(&self, free: bool) -> u32 {
        if free { self.many } else { self.few }
    }
}
