//! Many readers or one writer, in several processes.

mod local;
mod processes;
mod reading;

use std::sync::atomic::Ordering::{AcqRel, Acquire, SeqCst};

use super::{
    Acquired, Cause, Holder, LockError, NotHolder, ProcessSlot, Waiting,
    cause::Poison,
    raw_lock::RawLock,
    wait::{Queue, Wait, spin},
    word::{DRAINING, READERS},
};
use crate::{
    ids::WorkerId,
    primitive::{Futex, Memory, Region, Word},
};

pub use local::LocalReaders;
use processes::Processes;
pub(super) use reading::ObjectHandle;

/// A lock for many readers or one writer, in shared memory. A clone is the same lock. README:
/// "Readers and writers".
///
/// A writer that has come bars new readers, so it waits for those only who were there. A reader
/// that has waited for a millisecond comes before the next writer. So a thread that reads must not
/// begin to read once more: it would wait for a writer that waits for it.
///
/// Reading costs three atomic read-modify-writes to begin and three to end, one of each in shared
/// memory; one each while other threads of the same process read. Writing costs that of a mutex,
/// and a look at the bits of all processes, [`PROCESS_SLOTS`](super::PROCESS_SLOTS) of them.
#[derive(Clone, Debug)]
pub struct RawRwLock<M: Memory = Region> {
    /// Its word is the writer's.
    raw_lock: RawLock<M>,
    /// The word of the poison. The readers' follow.
    poison: usize,
    /// The futex on which readers sleep. That of the writer who waits for readers follows.
    entrance: usize,
}

impl<M: Memory> RawRwLock<M> {
    /// How many 64-bit words it takes. Zero is unlocked, without poison.
    pub const WORDS: usize = 2 + Processes::<M::Word>::WORDS;
    /// How many futexes it takes. They begin with any value.
    pub const FUTEXES: usize = 3;

    /// The lock at these words and these futexes of `memory`.
    ///
    /// # Panics
    /// If the memory has not got them.
    pub fn new(memory: M, word_at: usize, futex_at: usize) -> RawRwLock<M> {
        assert!(
            word_at + Self::WORDS <= memory.words().len(),
            "a lock outside the memory"
        );
        memory.futex(futex_at + Self::FUTEXES - 1);
        RawRwLock {
            raw_lock: RawLock::new(memory, word_at, futex_at),
            poison: word_at + 1,
            entrance: futex_at + 1,
        }
    }

    /// Begins to write if that needs no waiting.
    ///
    /// # Errors
    /// [`LockError::Busy`]; [`LockError::Recursive`] when the calling thread writes already.
    pub fn try_write(&self, holder: Holder) -> Result<Acquired, LockError> {
        // A first look, so as not to bar readers for nothing.
        if !self.processes().is_empty() {
            return Err(LockError::Busy);
        }
        self.raw_lock.try_take(holder)?;
        M::fence();
        if self.processes().is_empty() {
            return Ok(Acquired::new(self.poison()));
        }
        let _ = self.unlock_write(holder);
        Err(LockError::Busy)
    }

    /// Begins to write, and waits for that as long as `waiting` permits.
    ///
    /// # Errors
    /// [`LockError::TimedOut`]; [`LockError::Recursive`] when the calling thread writes already.
    /// One that reads is not found out. [`LockError::Ended`].
    pub fn write<'s>(
        &self,
        holder: Holder,
        waiting: impl Into<Waiting<'s>>,
    ) -> Result<Acquired, LockError> {
        let waiting = waiting.into();
        loop {
            self.raw_lock.take(holder, waiting)?;
            M::fence();
            if self.processes().is_empty() || self.drain(holder, waiting)? {
                return Ok(Acquired::new(self.poison()));
            }
        }
    }

    /// Waits until nobody reads. New readers are barred already. Says whether the holder still has
    /// the raw lock; after an error it has not.
    #[cold]
    fn drain(&self, holder: Holder, waiting: Waiting<'_>) -> Result<bool, LockError> {
        let mut empty = false;
        spin(|| {
            empty = self.processes().is_empty();
            empty
        });
        if empty {
            return Ok(true);
        }
        let mut wait = Wait::until(waiting);
        let open = || self.stop_draining(holder);
        self.raw_lock.word().fetch_or(DRAINING, SeqCst);
        let end = loop {
            let seq = self.exit().futex().load(Acquire);
            if self.processes().is_empty() {
                self.raw_lock.word().fetch_and(!DRAINING, AcqRel);
                return Ok(true);
            }
            let slept = wait
                .left()
                .and_then(|left| wait.sleep(self.exit(), seq, left, open));
            match slept {
                // Others write before this one has its turn. README: "Turns".
                Ok(()) if wait.stepped_aside() => return Ok(false),
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        open();
        Err(end)
    }

    /// A writer that has the raw lock and waits for readers lets others go first.
    pub(super) fn stop_draining(&self, holder: Holder) {
        self.raw_lock.word().fetch_and(!DRAINING, AcqRel);
        let _ = self.unlock_write(holder);
    }

    /// A reader that had its turn, or does not want it any longer, lets writers in again.
    pub(super) fn end_turn(&self) {
        self.raw_lock.end_turn();
    }

    pub(super) fn raw_lock(&self) -> &RawLock<M> {
        &self.raw_lock
    }

    pub(super) fn is_read(&self) -> bool {
        !self.processes().is_empty()
    }

    /// Ends writing. Makes a system call if somebody waits, or has waited meanwhile.
    ///
    /// # Errors
    /// When `holder` does not write. Then nothing changes.
    #[inline]
    pub fn unlock_write(&self, holder: Holder) -> Result<(), NotHolder> {
        if self.raw_lock.release(holder)? & READERS != 0 {
            self.wake_readers();
        }
        Ok(())
    }

    /// Ends writing, and has everyone know that this process panicked amid it.
    ///
    /// # Errors
    /// As [`unlock_write`](RawRwLock::unlock_write).
    pub fn unlock_write_poisoned(&self, holder: Holder) -> Result<(), NotHolder> {
        if !self.raw_lock.is_owned_by(holder) {
            return Err(NotHolder);
        }
        self.poison_word().set(Cause::panic());
        self.unlock_write(holder)
    }

    /// Whether `holder` writes. Another's answer is out of date at once.
    pub fn is_written_by(&self, holder: Holder) -> bool {
        self.raw_lock.is_owned_by(holder)
    }

    /// The first that died or panicked while it wrote, since the last
    /// [`clear_poison`](Self::clear_poison).
    #[inline]
    pub fn poison(&self) -> Option<Cause> {
        self.poison_word().get()
    }

    /// Declares that what it protects is in order again. To be called by a writer.
    pub fn clear_poison(&self) {
        self.poison_word().clear();
    }

    /// To be called after the process `dead`, which had this process slot, is known to be dead, for
    /// each lock that it could reach, before its process slot is given away. If it was the writer,
    /// the lock is free and poisoned then. What it read is no reason for that, and neither is its
    /// death while it slept until readers left. Says whether it was the writer. Three system calls.
    pub fn recover(&self, dead: WorkerId, slot: ProcessSlot, cause: Cause) -> bool {
        self.processes().remove(slot);
        let owned = self.raw_lock.recover(dead, |word| {
            if word & DRAINING == 0 {
                self.poison_word().set(cause);
            }
        });
        self.wake_readers();
        self.wake_writer();
        owned
    }

    fn wake_readers(&self) {
        self.entrance().futex().increment();
        self.entrance().futex().wake();
    }

    /// The one that waits for readers.
    fn wake_writer(&self) {
        self.exit().futex().increment();
        self.exit().futex().wake();
    }

    pub(super) fn entrance(&self) -> Queue<'_, M> {
        Queue {
            memory: self.raw_lock.memory(),
            at: self.entrance,
        }
    }

    pub(super) fn exit(&self) -> Queue<'_, M> {
        Queue {
            memory: self.raw_lock.memory(),
            at: self.entrance + 1,
        }
    }

    #[inline]
    fn poison_word(&self) -> Poison<'_, M::Word> {
        Poison(&self.raw_lock.memory().words()[self.poison])
    }

    #[inline]
    fn processes(&self) -> Processes<'_, M::Word> {
        let begin = self.poison + 1;
        let words = &self.raw_lock.memory().words()[begin..];
        Processes(&words[..Processes::<M::Word>::WORDS])
    }
}
