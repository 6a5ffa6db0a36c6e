//! One thread's waiting.

use std::{
    fmt,
    sync::atomic::Ordering::Acquire,
    time::{Duration, Instant},
};

use super::LockError;
use crate::{
    primitive::{Futex, Memory},
    waiting::{LONG, Mechanism, Spin},
};

/// How a process lets a thread sleep in the queue of a lock: a worker gives the turn of the
/// thread's task to another task meanwhile, and a driver ends the sleep when its runtime ends.
pub trait Sleeper {
    /// Calls [`Sleep::sleep`], and nothing of the user's.
    ///
    /// # Errors
    /// There is nothing left to wait for. Not necessarily at once: only a further sleep must not
    /// begin. A thread that has slept looks at the lock first, since it may have been woken for
    /// that.
    fn sleep(&self, sleep: &mut dyn Sleep) -> Result<(), Ended>;
}

/// The runtime has ended, so that others may never do what the thread waits for; or nobody waits
/// for the thread's task any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended;

/// One sleep of a thread in a queue.
pub trait Sleep {
    /// Sleeps until somebody wakes the queue, the deadline passes, or `limit` has passed, or for no
    /// reason at all.
    fn sleep(&mut self, limit: Option<Duration>);

    /// Whether somebody has woken the queue since the thread has looked at the lock.
    fn is_over(&self) -> bool;

    /// After the sleep, if the thread cannot look at the lock at once: others may have what the
    /// thread was woken for, and nobody is barred for its sake.
    fn step_aside(&mut self);

    /// Whether it has stepped aside before, while it waited for the same lock.
    fn has_stepped_aside(&self) -> bool;

    /// What ends the sleep of all threads in the queue, from another thread. They look again.
    fn alarm(&self) -> Box<dyn Fn() + Send + Sync>;
}

/// For how long a thread may wait, and how it sleeps.
#[derive(Clone, Copy, Default)]
pub struct Waiting<'s> {
    /// When it gives up.
    pub deadline: Option<Instant>,
    /// How it sleeps; like any thread, if nothing is said.
    pub sleeper: Option<&'s dyn Sleeper>,
}

impl From<Option<Instant>> for Waiting<'_> {
    fn from(deadline: Option<Instant>) -> Self {
        Waiting {
            deadline,
            sleeper: None,
        }
    }
}

impl fmt::Debug for Waiting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// One thread's waiting.
#[derive(Debug)]
pub(super) struct Wait<'s> {
    began: Instant,
    waiting: Waiting<'s>,
    /// It has slept, and so was there before those who have not.
    pub(super) slept: bool,
    /// It has let others go first since the last sleep began.
    aside: bool,
    aside_before: bool,
}

/// A queue of sleepers: a futex of a memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue<'q, M> {
    pub(super) memory: &'q M,
    pub(super) at: usize,
}

impl<'s> Wait<'s> {
    pub(super) fn until(waiting: Waiting<'s>) -> Wait<'s> {
        let began = Instant::now();
        Wait {
            began,
            waiting,
            slept: false,
            aside: false,
            aside_before: false,
        }
    }

    /// How long the next sleep may last; an error if the deadline has passed.
    pub(super) fn left(&self) -> Result<Option<Duration>, LockError> {
        let Some(deadline) = self.waiting.deadline else {
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
            self.waiting.deadline.is_some()
        } else {
            self.slept && self.began.elapsed() >= LONG
        }
    }

    /// Whether the last sleep ended with [`Sleep::step_aside`]. What the caller has announced
    /// before does not count any more.
    pub(super) fn stepped_aside(&self) -> bool {
        self.aside
    }

    /// Sleeps, unless the sequence of `queue` is no longer `seq`. The caller looks again.
    ///
    /// `step_aside` is called at most once, if the thread cannot look at once. It hands on the
    /// wake-up that the thread may have got, and takes back what bars others for its sake.
    ///
    /// # Errors
    /// [`LockError::Ended`].
    pub(super) fn sleep<M: Memory>(
        &mut self,
        queue: Queue<'_, M>,
        seq: u32,
        left: Option<Duration>,
        step_aside: impl FnMut(),
    ) -> Result<(), LockError> {
        self.aside = false;
        match self.waiting.sleeper {
            None => queue.futex().wait(seq, left),
            Some(sleeper) => {
                let mut sleep = InQueue {
                    queue,
                    seq,
                    left,
                    step_aside,
                    aside: &mut self.aside,
                    aside_before: self.aside_before,
                };
                sleeper
                    .sleep(&mut sleep)
                    .map_err(|Ended| LockError::Ended)?;
                self.aside_before |= self.aside;
            }
        }
        self.slept = true;
        Ok(())
    }
}

impl<'q, M: Memory> Queue<'q, M> {
    pub(super) fn futex(&self) -> &'q M::Futex {
        self.memory.futex(self.at)
    }
}

struct InQueue<'a, M, F> {
    queue: Queue<'a, M>,
    seq: u32,
    left: Option<Duration>,
    step_aside: F,
    aside: &'a mut bool,
    aside_before: bool,
}

impl<M: Memory, F: FnMut()> Sleep for InQueue<'_, M, F> {
    fn sleep(&mut self, limit: Option<Duration>) {
        let limit = match (limit, self.left) {
            (Some(limit), Some(left)) => Some(limit.min(left)),
            (limit, left) => limit.or(left),
        };
        self.queue.futex().wait(self.seq, limit);
    }

    fn is_over(&self) -> bool {
        self.queue.futex().load(Acquire) != self.seq
    }

    fn step_aside(&mut self) {
        if !*self.aside {
            *self.aside = true;
            (self.step_aside)();
        }
    }

    fn has_stepped_aside(&self) -> bool {
        self.aside_before
    }

    fn alarm(&self) -> Box<dyn Fn() + Send + Sync> {
        let (memory, at) = (self.queue.memory.clone(), self.queue.at);
        Box::new(move || {
            memory.futex(at).increment();
            memory.futex(at).wake();
        })
    }
}

/// Looks now and then, for some microseconds, before a sleep. Not in models: to look again is no
/// other order of events.
pub(super) fn spin(ready: impl FnMut() -> bool) {
    if !cfg!(loom) && Mechanism::LockSpin.is_on() {
        thread_local! {
            static SPIN: Spin = Spin::of_the_driver();
        }
        SPIN.with(|spin| spin.until(ready));
    }
}
