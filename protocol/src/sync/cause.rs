//! The cause of a failure, in one word.

use std::{
    fmt,
    sync::atomic::Ordering::{AcqRel, Acquire, Relaxed},
};

use crate::primitive::Word;

/// The process that held an object, and what happened to it. Shown like "process 4711 died (signal
/// 9)".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cause {
    /// The kernel's number of the process.
    pub pid: u32,
    /// The event.
    pub how: How,
}

/// The end of a process, or an event in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum How {
    /// It ended with this exit code.
    Exited(u8),
    /// This signal ended it.
    Signal(u8),
    /// A thread of it panicked. The process may live.
    Panicked,
    /// It gave up waiting at a barrier.
    TimedOut,
    /// It has died in an unknown way.
    Unknown,
}

impl Cause {
    /// Returns the cause for a panic in the calling process.
    pub fn panic() -> Cause {
        Cause::here(How::Panicked)
    }

    pub(super) fn here(how: How) -> Cause {
        let pid = std::process::id();
        Cause { pid, how }
    }

    /// Returns a word that is never 0.
    pub(super) fn encode(self) -> u64 {
        let (kind, detail) = match self.how {
            How::Exited(code) => (1, code),
            How::Signal(signal) => (2, signal),
            How::Panicked => (3, 0),
            How::TimedOut => (4, 0),
            How::Unknown => (5, 0),
        };
        kind << 40 | u64::from(detail) << 32 | u64::from(self.pid)
    }

    /// Returns the cause in a word. 0 is none. Any other unknown kind counts as [`How::Unknown`].
    #[cold]
    pub(super) fn decode(word: u64) -> Option<Cause> {
        if word == 0 {
            return None;
        }
        let detail = (word >> 32) as u8;
        let how = match word >> 40 {
            1 => How::Exited(detail),
            2 => How::Signal(detail),
            3 => How::Panicked,
            4 => How::TimedOut,
            _ => How::Unknown,
        };
        let pid = word as u32;
        Some(Cause { pid, how })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pid = self.pid;
        match self.how {
            How::Exited(code) => write!(f, "process {pid} died (exit code {code})"),
            How::Signal(signal) => write!(f, "process {pid} died (signal {signal})"),
            How::Panicked => write!(f, "process {pid} panicked"),
            How::TimedOut => write!(f, "process {pid} gave up waiting"),
            How::Unknown => write!(f, "process {pid} died"),
        }
    }
}

/// A word that keeps the first cause. A writer owns the lock or other object, so there is one
/// writer at a time.
#[derive(Debug)]
pub(super) struct Poison<'a, W>(pub(super) &'a W);

impl<W: Word> Poison<'_, W> {
    #[inline]
    pub(super) fn get(&self) -> Option<Cause> {
        match self.0.load(Acquire) {
            0 => None,
            word => Cause::decode(word),
        }
    }

    pub(super) fn set(&self, cause: Cause) {
        let _ = self.0.exchange(0, cause.encode(), AcqRel);
    }

    pub(super) fn clear(&self) {
        self.0.store(0, Relaxed);
    }
}
