//! A call of a function that runs once, in one of the processes.

use std::{
    convert::Infallible,
    sync::atomic::Ordering::{AcqRel, Acquire},
};

use super::{
    Holder, LockError, Waiting,
    wait::{Queue, Wait, spin},
    word::{FLAGS, WAITERS, belongs_to, is_free},
};
use crate::{
    ids::WorkerId,
    primitive::{Futex, Memory, Region, Word},
};

/// The word after the call. No holder has this word, since its upper half is zero.
const DONE: u64 = 1;

/// A function that is called once. A clone is the same one. README: "Once".
///
/// The first caller runs the function, in its process, and the others wait. If the call fails or
/// panics, or the process dies, the next caller runs it. That one finds the unfinished work of the
/// call before.
#[derive(Clone, Debug)]
pub struct RawOnce<M = Region> {
    memory: M,
    word: usize,
    futex: usize,
}

/// A running call. If it is dropped without success, another thread may try.
struct Attempt<'a, M: Memory> {
    once: &'a RawOnce<M>,
    end: u64,
}

impl<M: Memory> RawOnce<M> {
    /// The number of 64-bit words that it takes. Zero means that the call has not happened.
    pub const WORDS: usize = 1;
    /// The number of futexes that it takes. They begin with any value.
    pub const FUTEXES: usize = 1;

    /// Returns the object at this word and this futex of `memory`.
    ///
    /// # Panics
    /// Panics if they are outside the memory.
    pub fn new(memory: M, word_at: usize, futex_at: usize) -> RawOnce<M> {
        assert!(word_at < memory.words().len(), "outside the memory");
        memory.futex(futex_at);
        RawOnce {
            memory,
            word: word_at,
            futex: futex_at,
        }
    }

    /// Returns whether the call has succeeded. Then its writes are visible. Costs a load.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.word().load(Acquire) == DONE
    }

    /// Blocks until a call has succeeded. Returns `true` if this call ran `f`.
    ///
    /// # Errors
    /// Fails with [`LockError::TimedOut`] if another call ran until the deadline, with
    /// [`LockError::Recursive`] if `f` calls this itself, or with [`LockError::Ended`].
    #[inline]
    pub fn call<'s>(
        &self,
        holder: Holder,
        waiting: impl Into<Waiting<'s>>,
        f: impl FnOnce(),
    ) -> Result<bool, LockError> {
        let f = || {
            f();
            Ok::<(), Infallible>(())
        };
        self.try_call(holder, waiting, f).map(|ran| match ran {
            Ok(ran) => ran,
            Err(never) => match never {},
        })
    }

    /// Calls `f` like [`call`](RawOnce::call). `f` may fail: then the call has not succeeded, and
    /// the inner result is the error.
    ///
    /// # Errors
    /// Fails in the cases of [`call`](RawOnce::call).
    #[inline]
    pub fn try_call<'s, E>(
        &self,
        holder: Holder,
        waiting: impl Into<Waiting<'s>>,
        f: impl FnOnce() -> Result<(), E>,
    ) -> Result<Result<bool, E>, LockError> {
        if self.is_done() {
            return Ok(Ok(false));
        }
        let Some(mut attempt) = self.begin(holder, waiting.into())? else {
            return Ok(Ok(false));
        };
        Ok(f().map(|()| {
            attempt.end = DONE;
            true
        }))
    }

    /// Returns the right to run the function, or `None` if a call has succeeded.
    #[cold]
    fn begin(
        &self,
        holder: Holder,
        waiting: Waiting<'_>,
    ) -> Result<Option<Attempt<'_, M>>, LockError> {
        let mut wait = Wait::until(waiting);
        loop {
            let settled = |word| word == DONE || is_free(word);
            spin(|| settled(self.word().load(Acquire)));
            let seq = self.queue().futex().load(Acquire);
            let word = self.word().load(Acquire);
            if word == DONE {
                return Ok(None);
            }
            if is_free(word) {
                if self.word().exchange(word, holder.word(), AcqRel).is_ok() {
                    return Ok(Some(Attempt { once: self, end: 0 }));
                }
                continue;
            }
            if holder.is_this_thread(word & !FLAGS) {
                return Err(LockError::Recursive);
            }
            let left = wait.left()?;
            let announced = word | WAITERS;
            if announced == word || self.word().exchange(word, announced, AcqRel).is_ok() {
                // All threads are woken, so none has to step aside.
                wait.sleep(self.queue(), seq, left, || ())?;
            }
        }
    }

    /// Must be called after the death of the process `dead`. If `dead` ran the function, another
    /// thread may try. Returns whether that was so. Costs one system call.
    pub fn recover(&self, dead: WorkerId) -> bool {
        let mut word = self.word().load(Acquire);
        let owned = loop {
            if !belongs_to(word, dead) {
                break false;
            }
            match self.word().exchange(word, 0, AcqRel) {
                Ok(()) => break true,
                Err(found) => word = found,
            }
        };
        self.wake();
        owned
    }

    fn wake(&self) {
        self.queue().futex().increment();
        self.queue().futex().wake();
    }

    #[inline]
    fn word(&self) -> &M::Word {
        &self.memory.words()[self.word]
    }

    fn queue(&self) -> Queue<'_, M> {
        Queue {
            memory: &self.memory,
            at: self.futex,
        }
    }
}

impl<M: Memory> Drop for Attempt<'_, M> {
    fn drop(&mut self) {
        if self.once.word().swap(self.end, AcqRel) & WAITERS != 0 {
            self.once.wake();
        }
    }
}
