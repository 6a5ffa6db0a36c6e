//! One thread's waiting.

use std::time::{Duration, Instant};

use super::LockError;
use crate::{bell::Spin, primitive::Futex};

/// How long a thread waits before it bars those who come later.
const LONG: Duration = Duration::from_millis(1);

/// One thread's waiting.
#[derive(Debug)]
pub(super) struct Wait {
    began: Instant,
    deadline: Option<Instant>,
    /// It has slept, and so was there before those who have not.
    pub(super) slept: bool,
}

impl Wait {
    pub(super) fn until(deadline: Option<Instant>) -> Wait {
        let began = Instant::now();
        Wait {
            began,
            deadline,
            slept: false,
        }
    }

    /// How long the next sleep may last; an error if the deadline has passed.
    pub(super) fn left(&self) -> Result<Option<Duration>, LockError> {
        let Some(deadline) = self.deadline else {
            return Ok(None);
        };
        match deadline.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(LockError::TimedOut),
        }
    }

    /// Whether it has waited long. In models there is no time: whoever has a deadline has.
    pub(super) fn is_long(&self) -> bool {
        if cfg!(loom) {
            self.deadline.is_some()
        } else {
            self.slept && self.began.elapsed() >= LONG
        }
    }

    /// Sleeps, unless the value of `futex` is no longer `seq`. The caller looks again.
    pub(super) fn sleep(&mut self, futex: &impl Futex, seq: u32, left: Option<Duration>) {
        futex.wait(seq, left);
        self.slept = true;
    }
}

/// Looks now and then, for some microseconds, before a sleep. Not in models: to look again is no
/// other order of events.
pub(super) fn spin(ready: impl FnMut() -> bool) {
    if !cfg!(loom) {
        Spin::for_this_machine().until(ready);
    }
}
