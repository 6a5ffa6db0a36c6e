//! Waiting until something that a mutex protects has changed.

use std::sync::atomic::Ordering::Acquire;

use super::{
    Acquired, Holder, LockError, NotHolder, RawMutex, Waiting,
    wait::{Queue, Wait, spin},
    waiter_count::WaiterCount,
};
use crate::primitive::{Futex, Memory, Region};

/// How a wait has ended. The mutex is held again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Waited {
    /// How the mutex was acquired.
    pub acquired: Acquired,
    /// The deadline passed, and no notification has come.
    pub timed_out: bool,
}

/// Why a wait has ended without the mutex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitError {
    /// The holder does not have the mutex.
    NotHolder,
    /// The runtime has ended.
    Ended,
}

impl From<NotHolder> for WaitError {
    fn from(_: NotHolder) -> WaitError {
        WaitError::NotHolder
    }
}

/// A condition variable in shared memory. A clone is the same one. README: "Condition variables".
///
/// A wait may end without a notification, so callers look at what they wait for.
#[derive(Clone, Debug)]
pub struct RawCondvar<M = Region> {
    memory: M,
    /// How many wait.
    word: usize,
    futex: usize,
}

impl<M: Memory> RawCondvar<M> {
    /// How many 64-bit words it takes. They begin as zero.
    pub const WORDS: usize = 1;
    /// How many futexes it takes. They begin with any value.
    pub const FUTEXES: usize = 1;

    /// The condition variable at this word and this futex of `memory`.
    ///
    /// # Panics
    /// If the memory has not got them.
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

    /// Unlocks the mutex, sleeps until a notification, and locks again, for as long as that takes:
    /// the deadline is about the notification. One that is sent after the unlocking is not missed.
    ///
    /// # Errors
    /// When `holder` does not have the mutex, or the runtime has ended. It does not have the mutex
    /// afterwards.
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
                // The notification that it was woken for is its own, whenever it has its turn.
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
            // By somebody's stray write, the word says that we have the mutex.
            _ => WaitError::NotHolder,
        })?;
        Ok(Waited {
            acquired,
            timed_out,
        })
    }

    /// Wakes one of those who wait. Cost: a load, if nobody does; otherwise a system call.
    pub fn notify_one(&self) {
        if self.waiter_count().look().any() {
            self.futex().increment();
            self.futex().wake_one();
        }
    }

    /// Wakes all who wait. Cost: as [`notify_one`](RawCondvar::notify_one).
    pub fn notify_all(&self) {
        if self.waiter_count().look().any() {
            self.futex().increment();
            self.futex().wake();
        }
    }

    /// To be called after a process that could reach it is known to be dead: it may be the one that
    /// was notified, and not have done what it was woken for. Wakes all, for no reason that they
    /// can see. One system call.
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
