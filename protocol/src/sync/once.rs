//! Something that is done once, in one of the processes.

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

/// It is done. Nobody's word, since the upper half is zero.
const DONE: u64 = 1;

/// Something that happens once. A clone is the same one. README: "Once".
///
/// Whoever comes first does it, in its process; the others wait. If it fails, panics or dies amid
/// it, the next one does it, and finds what the other had got to.
#[derive(Clone, Debug)]
pub struct RawOnce<M = Region> {
    memory: M,
    word: usize,
    futex: usize,
}

/// It is being done. Unless it was finished, somebody else may try when this is dropped.
struct Attempt<'a, M: Memory> {
    once: &'a RawOnce<M>,
    end: u64,
}

impl<M: Memory> RawOnce<M> {
    /// How many 64-bit words it takes. Zero is not yet done.
    pub const WORDS: usize = 1;
    /// How many futexes it takes. They begin with any value.
    pub const FUTEXES: usize = 1;

    /// The one at this word and this futex of `memory`.
    ///
    /// # Panics
    /// If the memory has not got them.
    pub fn new(memory: M, word_at: usize, futex_at: usize) -> RawOnce<M> {
        assert!(word_at < memory.words().len(), "outside the memory");
        memory.futex(futex_at);
        RawOnce {
            memory,
            word: word_at,
            futex: futex_at,
        }
    }

    /// Whether it is done. What was written for it can be seen then. Cost: a load.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.word().load(Acquire) == DONE
    }

    /// Returns when it is done: by this call, which says `true` then, or by another.
    ///
    /// # Errors
    /// [`LockError::TimedOut`] when another was at it until the deadline; [`LockError::Recursive`]
    /// when `f` itself calls this; [`LockError::Ended`].
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

    /// As [`call`](RawOnce::call), with something that may fail. Then it is not done, and the inner
    /// result is the error.
    ///
    /// # Errors
    /// As [`call`](RawOnce::call).
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

    /// The right to do it, or none when it is done.
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
                // All are woken, so nobody has to step aside.
                wait.sleep(self.queue(), seq, left, || ())?;
            }
        }
    }

    /// To be called after the process `dead` is known to be dead. If it was at it, somebody else
    /// may try; says whether that was so. One system call.
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
