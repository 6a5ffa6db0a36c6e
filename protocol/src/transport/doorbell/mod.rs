//! Doorbells. A process that has put a message into a ring wakes the reader by a doorbell. That
//! costs a fence and a load if the reader is awake.
//!
//! `ring/README.md` explains under "Doorbells" and "The driver's doorbell" why no wake-up is lost.

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
pub use driver::{DriverDoorbell, Leader};
pub use followers::Followers;

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;

/// A doorbell with one sleeper, for a lane to a worker. Any thread may notify it. A clone is the
/// same doorbell.
#[derive(Clone, Debug)]
pub struct Doorbell<M = Region> {
    memory: M,
    /// The index of the futex that says whether a thread sleeps.
    at: usize,
}

impl<M: Memory> Doorbell<M> {
    /// Returns the doorbell on futex `at` of `memory`. The futex must begin as zero.
    ///
    /// # Panics
    /// Panics if there is no such futex.
    pub fn new(memory: M, at: usize) -> Doorbell<M> {
        memory.futex(at);
        Doorbell { memory, at }
    }

    /// Wakes the sleeper, if there is one. It then checks for data that was published before this
    /// call. Costs a fence and a load, and a system call if a thread sleeps.
    pub fn notify(&self) {
        M::fence();
        let futex = self.futex();
        if futex.load(Relaxed) != AWAKE && futex.swap(AWAKE, AcqRel) != AWAKE {
            futex.wake();
        }
    }

    /// Sleeps until a notification or the timeout, unless `has_work` returns `true`. `has_work` is
    /// called after the coming sleep is visible to notifying threads. It must check everything that
    /// a notification may stand for.
    ///
    /// May return early, so the caller checks again in any case. At most one thread may sleep at a
    /// time.
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
