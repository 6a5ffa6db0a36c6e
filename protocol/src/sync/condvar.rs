//! A condition variable: a wait until data under a mutex has changed.

use std::sync::atomic::Ordering::Acquire;

use super::{
    Acquired, Holder, LockError, NotHolder, RawMutex, Waiting,
    wait::{Queue, Wait, spin},
    waiter_count::WaiterCount,
};
use crate::primitive::{Futex, Memory, Region};

/// The end of a wait. The caller holds the mutex again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Waited {
    /// The way in which the mutex was acquired.
    pub acquired: Acquired,
    /// Whether the deadline passed before a notification came.
    pub timed_out: bool,
}

/// The reason for which a wait has ended without the mutex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitError {
    /// The caller does not hold the mutex.
    NotHolder,
    /// The runtime has ended.
    Ended,
}

impl From<NotHolder> for WaitError {
    fn from(_: NotHolder) -> WaitError {
        WaitError::NotHolder
    }
}

/// A condition variable in shared memory. A clone is the same condition variable. README:
/// "Condition variables".
///
/// A wait may end without a notification, so callers check their condition again.
#[derive(Clone, Debug)]
pub struct RawCondvar<M = Region> {
    memory: M,
    /// The waiter count.
    word: usize,
    futex: usize,
}

impl<M: Memory> RawCondvar<M> {
    /// The number of 64-bit words that it takes. They begin as zero.
    pub const WORDS: usize = 1;
    /// The number of futexes that it takes. They begin with any value.
    pub const FUTEXES: usize = 1;

    /// Returns the condition variable at this word and this futex of `memory`.
    ///
    /// # Panics
    /// Panics if they are outside the memory.
    pub fn new(memory: M, word_at: usize, futex_at: usize) -> RawCondvar<M> {
        assert!(
            word_at < memory.words().len(),
            "a condition variable outside the memory"
        );
        memory.futex(futex_at);
        RawCondvar {
            memory,
            word: word_at,
            futex: futex_at,
        }
    }

    /// Unlocks the mutex, sleeps until a notification, and locks the mutex again. The deadline
    /// limits the sleep only, not the second lock. A notification that is sent after the unlock is
    /// not missed.
    ///
    /// # Errors
    /// Fails if `holder` does not hold the mutex, or if the runtime has ended. `holder` does not
    /// hold the mutex after an error.
    pub fn wait<'s>(
        &self,
        mutex: &RawMutex<M>,
        holder: Holder,
        waiting: impl Into<Waiting<'s>>,
    ) -> Result<Waited, WaitError> {
        if !mutex.is_locked_by(holder) {
            return Err(WaitError::NotHolder);
        }
        let waiting = waiting.into();
        let mut wait = Wait::until(waiting);
        let seq = self.futex().load(Acquire);
        let waiter_count = self.waiter_count();
        let entered = waiter_count.enter();
        if let Err(error) = mutex.unlock(holder) {
            waiter_count.leave(entered, false);
            return Err(error.into());
        }
        if !entered.any() {
            spin(|| self.futex().load(Acquire) != seq);
        }
        let timed_out = loop {
            if self.futex().load(Acquire) != seq {
                break Ok(false);
            }
            match wait.left() {
                // A notified thread keeps its notification until it has its turn.
                Ok(left) => {
                    if wait.sleep(self.queue(), seq, left, || ()).is_err() {
                        break Err(WaitError::Ended);
                    }
                }
                Err(_) => break Ok(true),
            }
        };
        waiter_count.leave(entered, false);
        let timed_out = timed_out?;
        let waiting = Waiting {
            deadline: None,
            ..waiting
        };
        let acquired = mutex.lock(holder, waiting).map_err(|error| match error {
            LockError::Ended => WaitError::Ended,
            // A stray write can make the word say that this holder has the mutex.
            _ => WaitError::NotHolder,
        })?;
        Ok(Waited {
            acquired,
            timed_out,
        })
    }

    /// Wakes one waiting thread. Costs a load if no thread waits, and a system call otherwise.
    pub fn notify_one(&self) {
        if self.waiter_count().look().any() {
            self.futex().increment();
            self.futex().wake_one();
        }
    }

    /// Wakes all waiting threads. Costs as much as [`notify_one`](RawCondvar::notify_one).
    pub fn notify_all(&self) {
        if self.waiter_count().look().any() {
            self.futex().increment();
            self.futex().wake();
        }
    }

    /// Must be called after the death of a process that could reach it. That process may have been
    /// notified, and not have done its work. Wakes all waiting threads, for no reason that they can
    /// see. Costs one system call.
    pub fn recover(&self) {
        self.waiter_count().restart();
        self.futex().increment();
        self.futex().wake();
    }

    fn waiter_count(&self) -> WaiterCount<'_, M::Word> {
        WaiterCount(&self.memory.words()[self.word])
    }

    fn futex(&self) -> &M::Futex {
        self.memory.futex(self.futex)
    }

    fn queue(&self) -> Queue<'_, M> {
        Queue {
            memory: &self.memory,
            at: self.futex,
        }
    }
}
