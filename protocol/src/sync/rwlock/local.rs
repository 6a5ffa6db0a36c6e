//! The readers of one process.

use std::{
    fmt,
    sync::atomic::{
        AtomicU32,
        Ordering::{AcqRel, Acquire},
    },
};

use super::super::wait::spin;
use crate::primitive::Futex;

/// Flag of a count: a thread is about to add the process to the lock's readers, or to remove it.
const BUSY: u32 = 1 << 31;
/// Flag of a busy count: threads sleep until the count is no longer busy.
const SLEEPERS: u32 = 1 << 30;

/// The number of threads of this process that read. There is one count for each lock in each
/// process, in private memory. The lock itself has one bit for the process.
pub struct LocalReaders<F = AtomicU32> {
    count: F,
}

impl<F: Futex + Default> LocalReaders<F> {
    /// Returns a count of no readers.
    pub fn new() -> LocalReaders<F> {
        let count = F::default();
        LocalReaders { count }
    }
}

impl<F: Futex + Default> Default for LocalReaders<F> {
    fn default() -> LocalReaders<F> {
        LocalReaders::new()
    }
}

impl<F: Futex> fmt::Debug for LocalReaders<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.count.load(Acquire) & !(BUSY | SLEEPERS);
        f.debug_struct("LocalReaders")
            .field("count", &count)
            .finish()
    }
}

/// The effect of a change of the count.
pub(super) enum Change {
    /// Other threads of this process read too, so the lock does not change.
    Among,
    /// The caller is the first to come or the last to leave. It must change the process's bit and
    /// call [`LocalReaders::settle`].
    Edge,
    /// There is no reader to leave.
    None,
}

impl<F: Futex> LocalReaders<F> {
    /// Counts one reader more.
    ///
    /// # Panics
    /// Panics if there are 2^30 - 1 already.
    pub(super) fn join(&self) -> Change {
        self.change(|count| {
            assert!(count + 1 < SLEEPERS, "too many readers");
            Some(count + 1)
        })
    }

    /// Counts one reader less.
    pub(super) fn leave(&self) -> Change {
        self.change(|count| count.checked_sub(1))
    }

    #[inline]
    fn change(&self, to: impl Fn(u32) -> Option<u32>) -> Change {
        let mut count = self.count.load(Acquire);
        loop {
            if count & BUSY != 0 {
                count = self.settled();
                continue;
            }
            let Some(new) = to(count) else {
                return Change::None;
            };
            let edge = count == 0 || new == 0;
            match self.count.replace(count, if edge { BUSY } else { new }) {
                Ok(()) if edge => return Change::Edge,
                Ok(()) => return Change::Among,
                Err(found) => count = found,
            }
        }
    }

    /// Sets the count after an edge. `count` is 0 or 1.
    #[inline]
    pub(super) fn settle(&self, count: u32) {
        if self.count.swap(count, AcqRel) & SLEEPERS != 0 {
            self.count.wake();
        }
    }

    /// Returns the count when it is not busy. That takes a few instructions of another thread,
    /// unless it loses its core meanwhile.
    #[cold]
    fn settled(&self) -> u32 {
        let mut count = BUSY;
        spin(|| {
            count = self.count.load(Acquire);
            count & BUSY == 0
        });
        loop {
            count = self.count.load(Acquire);
            if count & BUSY == 0 {
                return count;
            }
            let announced = count | SLEEPERS;
            if announced == count || self.count.replace(count, announced).is_ok() {
                self.count.wait(announced, None);
            }
        }
    }
}
