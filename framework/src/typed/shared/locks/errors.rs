//! Failures of locks, as errors of Mobula.

use std::time::{Duration, Instant};

use mobula_protocol::{
    Error, Result,
    sync::{Cause, LockError},
};

/// Returns the end of a limited wait. A limit that overflows `Instant` is none.
pub(super) fn deadline(limit: Duration) -> Option<Instant> {
    Instant::now().checked_add(limit)
}

/// Returns the guard, unless its data is poisoned.
///
/// # Errors
/// The error says how the data was poisoned.
pub(super) fn unless_poisoned<G>(what: &str, guard: G, cause: Option<Cause>) -> Result<G> {
    match cause {
        None => Ok(guard),
        Some(cause) => Err(poisoned(what, cause)),
    }
}

/// A guard that knows the end of the guard before.
pub(super) trait Caused {
    /// Returns the cause, if the data is poisoned.
    fn cause(&self) -> Option<Cause>;
}

/// Returns the guard, unless there is none or its data is poisoned.
///
/// # Errors
/// The error in `guard`, or the data is poisoned.
pub(super) fn checked<G: Caused>(what: &str, guard: Result<G>) -> Result<G> {
    let guard = guard?;
    let cause = guard.cause();
    unless_poisoned(what, guard, cause)
}

fn poisoned(what: &str, cause: Cause) -> Error {
    Error::poisoned(format!(
        "{what} is poisoned: {cause} while it held it, so what it protects may be half changed; \
         the `_ignoring_poison` form gives it all the same, and `clear_poison()` declares it in order"
    ))
}

pub(super) fn not_acquired(what: &str, error: LockError) -> Error {
    match error {
        LockError::Busy => Error::timeout(format!("{what} is in use")),
        LockError::TimedOut => {
            Error::timeout(format!("{what} was not free within the time allowed"))
        }
        LockError::Ended => Error::shutdown(),
        LockError::Recursive => Error::usage(format!(
            "{what} is held by this very thread, which would wait for itself; drop the first guard before"
        )),
    }
}
