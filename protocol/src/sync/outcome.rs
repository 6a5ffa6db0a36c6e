//! The results of attempts to acquire or release a lock.

use std::fmt;

use super::Cause;

/// The way in which a lock was acquired. The caller holds it in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Acquired {
    /// All earlier holders have released it in order.
    Clean,
    /// A holder died or panicked with it. The data that the lock protects may be half changed.
    Poisoned(Cause),
}

impl Acquired {
    /// Returns the cause, if the lock is poisoned.
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

/// The reason for which a lock was not acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockError {
    /// It cannot be acquired without waiting.
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

/// The caller does not hold what it released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NotHolder;

impl fmt::Display for NotHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the caller does not hold it")
    }
}

impl std::error::Error for NotHolder {}
