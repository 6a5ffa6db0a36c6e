//! What a thread does before it sleeps.

use std::{
    hint,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

/// How long to look again and again before sleeping. An answer that comes within that time costs no
/// system call on either side, and no wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spin {
    /// Looks with nothing but a pause instruction between them. For answers that are under way on
    /// another core.
    pub pauses: u32,
    /// Looks with a `sched_yield` between them, at most. They let others run where cores are short.
    pub yields: u32,
    /// No more yields after this much time. A yield can take long when others want the core, and
    /// short when nobody does.
    pub limit: Duration,
}

impl Spin {
    /// No look but the first.
    pub const NONE: Spin = Spin {
        pauses: 0,
        yields: 0,
        limit: Duration::ZERO,
    };

    /// What suits this machine. With one core, whoever is waited for cannot run while we spin.
    ///
    /// Few pauses: with the other side on another core, more of them gain some hundred nanoseconds
    /// for a round trip; with both on one core, each costs the time that the other side needs.
    pub fn for_this_machine() -> Spin {
        static CORES: OnceLock<usize> = OnceLock::new();
        let cores = *CORES.get_or_init(|| thread::available_parallelism().map_or(1, usize::from));
        Spin {
            pauses: if cores > 1 { 5 } else { 0 },
            yields: 32,
            limit: Duration::from_micros(12),
        }
    }

    /// Looks until `ready` says yes (then returns true) or it is time to sleep.
    pub fn until(&self, mut ready: impl FnMut() -> bool) -> bool {
        if ready() {
            return true;
        }
        for _ in 0..self.pauses {
            hint::spin_loop();
            if ready() {
                return true;
            }
        }
        if self.yields == 0 {
            return false;
        }
        let start = Instant::now();
        for _ in 0..self.yields {
            thread::yield_now();
            if ready() {
                return true;
            }
            if start.elapsed() >= self.limit {
                break;
            }
        }
        false
    }
}
