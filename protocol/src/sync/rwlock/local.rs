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

/// In a count: a thread is about to enter the process into the lock's readers, or to take it out.
const BUSY: u32 = 1 << 31;
/// In a count that is busy: threads sleep until it no longer is.
const SLEEPERS: u32 = 1 << 30;

/// How many threads of this process read. One for each lock in each process, in private memory: the
/// lock itself has one bit for the process.
pub struct LocalReaders<F = AtomicU32> {
    count: F,
}

impl<F: Futex + Default> LocalReaders<F> {
    /// None.
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

/// What a change of the count was.
pub(super) enum Change {
    /// Others of this process read too, and the lock need not know.
    Among,
    /// The caller is the first to come or the last to leave. It changes the process's bit and calls
    /// [`LocalReaders::settle`].
    Edge,
    /// There is none to leave.
    None,
}

impl<F: Futex> LocalReaders<F> {
    /// One more.
    ///
    /// # Panics
    /// If there are 2^30 already.
    pub(super) fn join(&self) -> Change {
        self.change(|count| {
            assert!(count + 1 < SLEEPERS, "too many readers");
            Some(count + 1)
        })
    }

    /// One less.
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

    /// After an edge: there are `count` now, none or one.
    #[inline]
    pub(super) fn settle(&self, count: u32) {
        if self.count.swap(count, AcqRel) & SLEEPERS != 0 {
            self.count.wake();
        }
    }

    /// The count when nobody is busy with it. That is a matter of a few instructions, unless the
    /// thread lost its core amid them.
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
