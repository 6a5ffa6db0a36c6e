//! The wait of one thread.

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

/// The way in which a process lets a thread sleep in the queue of a lock. A worker gives the turn
/// of the thread's task to another task meanwhile. A driver ends the sleep when its runtime ends.
pub trait Sleeper {
    /// Calls [`Sleep::sleep`], and no code of the user.
    ///
    /// # Errors
    /// Fails if the thread must not sleep again, since there is nothing left to wait for. The error
    /// may come late, but no further sleep may begin. After a sleep the thread first checks the
    /// lock, since a wake-up may have ended the sleep.
    fn sleep(&self, sleep: &mut dyn Sleep) -> Result<(), Ended>;
}

/// The runtime has ended, so others may never do what the thread waits for. Or no task waits for
/// the thread's task any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended;

/// One sleep of a thread in a queue.
pub trait Sleep {
    /// Sleeps until a thread wakes the queue, the deadline passes, or `limit` has passed. May also
    /// return without a reason.
    fn sleep(&mut self, limit: Option<Duration>);

    /// Returns whether a thread has woken the queue since this thread has checked the lock.
    fn is_over(&self) -> bool;

    /// Must follow the sleep if the thread cannot check the lock at once. Another thread may then
    /// take the lock for which this one was woken, and no thread is barred for this one.
    fn step_aside(&mut self);

    /// Returns whether the thread has stepped aside before, while it waited for the lock.
    fn has_stepped_aside(&self) -> bool;

    /// Returns a function that ends the sleep of all threads in the queue, from another thread.
    /// They check the lock again.
    fn alarm(&self) -> Box<dyn Fn() + Send + Sync>;
}

/// The time limit of a wait, and the way in which the thread sleeps.
#[derive(Clone, Copy, Default)]
pub struct Waiting<'s> {
    /// The time at which it gives up.
    pub deadline: Option<Instant>,
    /// The sleeper of its process. Without one it sleeps like any thread.
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

/// The wait of one thread.
#[derive(Debug)]
pub(super) struct Wait<'s> {
    began: Instant,
    waiting: Waiting<'s>,
    /// Whether it has slept, and so came before threads that have not slept.
    pub(super) slept: bool,
    /// Whether it has let others go first since the last sleep began.
    aside: bool,
    aside_before: bool,
}

/// A queue of sleepers: a futex in a memory.
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

    /// Returns how long the next sleep may last, or an error if the deadline has passed.
    pub(super) fn left(&self) -> Result<Option<Duration>, LockError> {
        let Some(deadline) = self.waiting.deadline else {
            return Ok(None);
        };
        match deadline.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(LockError::TimedOut),
        }
    }

    /// Returns whether it has waited long. Models have no time: a wait with a deadline is long
    /// there.
    pub(super) fn is_long(&self) -> bool {
        if cfg!(loom) {
            self.waiting.deadline.is_some()
        } else {
            self.slept && self.began.elapsed() >= LONG
        }
    }

    /// Returns whether the last sleep ended with [`Sleep::step_aside`]. An announcement of the
    /// caller from before the sleep is then void.
    pub(super) fn stepped_aside(&self) -> bool {
        self.aside
    }

    /// Sleeps, unless the sequence of `queue` is no longer `seq`. The caller then checks the lock
    /// again.
    ///
    /// Calls `step_aside` at most once, if the thread cannot check the lock at once. `step_aside`
    /// passes on a wake-up that the thread may have got, and ends the barring of others.
    ///
    /// # Errors
    /// Fails with [`LockError::Ended`].
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

/// Looks repeatedly before a sleep, for up to 60 us. Not in models, since a repeated look adds no
/// order of events.
pub(super) fn spin(ready: impl FnMut() -> bool) {
    if !cfg!(loom) && Mechanism::LockSpin.is_on() {
        thread_local! {
            static SPIN: Spin = Spin::of_the_driver();
        }
        SPIN.with(|spin| spin.until(ready));
    }
}
