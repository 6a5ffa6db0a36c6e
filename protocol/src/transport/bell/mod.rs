//! Doorbells: how a process that has put something into a ring wakes the one that reads it, at the
//! price of a fence and a load when that one is awake.
//!
//! Why no wake-up is lost stands in `ring/README.md`, under "Bells" and "The driver's bell".

mod driver;
mod followers;

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;

use std::{
    sync::atomic::Ordering::{AcqRel, Relaxed},
    time::Duration,
};

use crate::primitive::{Futex, Memory, Region};

#[cfg(all(test, loom))]
pub(crate) use driver::FUTEXES;
pub use driver::{DriverBell, Lead};
pub use followers::Followers;

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;

/// A doorbell with one sleeper: that of a lane to a worker. Anybody may ring. A clone is the same
/// bell.
#[derive(Clone, Debug)]
pub struct Bell<M = Region> {
    memory: M,
    /// The futex that says whether somebody sleeps.
    at: usize,
}

impl<M: Memory> Bell<M> {
    /// The bell on futex `at` of `memory`, which must begin as zero.
    ///
    /// # Panics
    /// If there is no such futex.
    pub fn new(memory: M, at: usize) -> Bell<M> {
        memory.futex(at);
        Bell { memory, at }
    }

    /// Wakes the sleeper, if there is one, to look at what was published before this call. Cost: a
    /// fence and a load; a system call if somebody sleeps.
    pub fn ring(&self) {
        M::fence();
        let futex = self.futex();
        if futex.load(Relaxed) != AWAKE && futex.swap(AWAKE, AcqRel) != AWAKE {
            futex.wake();
        }
    }

    /// Sleeps until the bell is rung or the timeout has passed, unless `has_work` says that there
    /// is no need. It is asked after the intention to sleep is visible to those who ring, and must
    /// look at everything that a ring may stand for.
    ///
    /// Returns early now and then; the caller looks again in any case. At most one thread may sleep
    /// at a time.
    pub fn sleep(&self, timeout: Option<Duration>, has_work: impl FnOnce() -> bool) {
        let futex = self.futex();
        futex.store(ASLEEP, Relaxed);
        M::fence();
        if !has_work() {
            futex.wait(ASLEEP, timeout);
        }
        futex.store(AWAKE, Relaxed);
    }

    fn futex(&self) -> &M::Futex {
        self.memory.futex(self.at)
    }
}
