//! What comes of an attempt to get or to give back something.

use std::fmt;

use super::Cause;

/// How a lock was acquired. It is held in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Acquired {
    /// Everyone who had it before has left it in order.
    Clean,
    /// Someone died or panicked with it. What the lock protects may be half-changed.
    Poisoned(Cause),
}

impl Acquired {
    /// What happened, if it is poisoned.
    pub fn cause(self) -> Option<Cause> {
        match self {
            Acquired::Clean => None,
            Acquired::Poisoned(cause) => Some(cause),
        }
    }

    #[inline]
    pub(super) fn new(poison: Option<Cause>) -> Acquired {
        poison.map_or(Acquired::Clean, Acquired::Poisoned)
    }
}

/// Why something was not acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockError {
    /// It is not to be had without waiting.
    Busy,
    /// The deadline has passed.
    TimedOut,
    /// The calling thread has it already, and would wait for itself.
    Recursive,
    /// The runtime has ended meanwhile.
    Ended,
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LockError::Busy => "it is in use",
            LockError::TimedOut => "it was not free before the deadline",
            LockError::Recursive => "this thread has it already",
            LockError::Ended => "the runtime has ended",
        })
    }
}

impl std::error::Error for LockError {}

/// What was to be given back does not belong to the one who gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NotHolder;

impl fmt::Display for NotHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the caller does not hold it")
    }
}

impl std::error::Error for NotHolder {}
