//! A read-write lock for threads in several processes.

mod local;
mod processes;
mod reading;

use std::sync::atomic::Ordering::{AcqRel, Acquire, SeqCst};

use super::{
    Acquired, Cause, Holder, LockError, NotHolder, ProcessSlot, RawMutex, Waiting,
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
pub(super) use reading::ReadAttempt;

/// A lock for many readers or one writer, in shared memory. A clone is the same lock. README:
/// "Readers and writers".
///
/// A waiting writer bars new readers, so it waits only for the readers before it. A reader that has
/// waited for a millisecond comes before the next writer. A thread that reads must not begin to
/// read again: it would wait for a writer that waits for it.
///
/// To begin and to end reading costs three atomic read-modify-writes each, one of them in shared
/// memory. It costs one each while other threads of the same process read. Writing costs as much as
/// a mutex, and a look at the bits of all [`PROCESS_SLOTS`](super::PROCESS_SLOTS) processes.
#[derive(Clone, Debug)]
pub struct RawRwLock<M: Memory = Region> {
    /// The lock among writers. Its word has the writer.
    writer: RawMutex<M>,
    /// The index of the words of the readers, after those of the mutex.
    readers: usize,
    /// The index of the futex on which readers sleep. The futex of a writer that waits for readers
    /// follows.
    entrance: usize,
}

impl<M: Memory> RawRwLock<M> {
    /// The number of 64-bit words that it takes. Zero is unlocked, without poison.
    pub const WORDS: usize = RawMutex::<M>::WORDS + Processes::<M::Word>::WORDS;
    /// The number of futexes that it takes. They begin with any value.
    pub const FUTEXES: usize = 3;

    /// Returns the lock at these words and these futexes of `memory`.
    ///
    /// # Panics
    /// Panics if they are outside the memory.
    pub fn new(memory: M, word_at: usize, futex_at: usize) -> RawRwLock<M> {
        assert!(
            word_at + Self::WORDS <= memory.words().len(),
            "a lock outside the memory"
        );
        memory.futex(futex_at + Self::FUTEXES - 1);
        RawRwLock {
            writer: RawMutex::new(memory, word_at, futex_at),
            readers: word_at + RawMutex::<M>::WORDS,
            entrance: futex_at + RawMutex::<M>::FUTEXES,
        }
    }

    /// Begins to write if that needs no waiting.
    ///
    /// # Errors
    /// Fails with [`LockError::Busy`], or with [`LockError::Recursive`] if the calling thread
    /// writes already.
    pub fn try_write(&self, holder: Holder) -> Result<Acquired, LockError> {
        // Looks first, so as not to bar readers in vain.
        if !self.processes().is_empty() {
            return Err(LockError::Busy);
        }
        self.raw_lock().try_take(holder)?;
        M::fence();
        if self.processes().is_empty() {
            return Ok(Acquired::new(self.poison()));
        }
        let _ = self.unlock_write(holder);
        Err(LockError::Busy)
    }

    /// Begins to write, and waits as long as `waiting` permits.
    ///
    /// # Errors
    /// Fails with [`LockError::TimedOut`], [`LockError::Ended`], or [`LockError::Recursive`] if the
    /// calling thread writes already. A calling thread that reads is not detected.
    pub fn write<'s>(
        &self,
        holder: Holder,
        waiting: impl Into<Waiting<'s>>,
    ) -> Result<Acquired, LockError> {
        let waiting = waiting.into();
        loop {
            self.raw_lock().take(holder, waiting)?;
            M::fence();
            if self.processes().is_empty() || self.drain(holder, waiting)? {
                return Ok(Acquired::new(self.poison()));
            }
        }
    }

    /// Waits until no process reads. New readers are barred already. Returns whether the holder
    /// still has the raw lock. After an error it does not have it.
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
        self.raw_lock().word().fetch_or(DRAINING, SeqCst);
        let end = loop {
            let seq = self.exit().futex().load(Acquire);
            if self.processes().is_empty() {
                self.raw_lock().word().fetch_and(!DRAINING, AcqRel);
                return Ok(true);
            }
            let slept = wait
                .left()
                .and_then(|left| wait.sleep(self.exit(), seq, left, open));
            match slept {
                // Others write before this writer has its turn. README: "Turns".
                Ok(()) if wait.stepped_aside() => return Ok(false),
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        open();
        Err(end)
    }

    /// Lets others go first, for a writer that has the raw lock and waits for readers.
    pub(super) fn stop_draining(&self, holder: Holder) {
        self.raw_lock().word().fetch_and(!DRAINING, AcqRel);
        let _ = self.unlock_write(holder);
    }

    /// Ends the turn of a reader that has had it or does not want it any more. Writers may enter
    /// again.
    pub(super) fn end_turn(&self) {
        self.raw_lock().end_turn();
    }

    #[inline]
    pub(super) fn raw_lock(&self) -> &RawLock<M> {
        self.writer.raw_lock()
    }

    pub(super) fn is_read(&self) -> bool {
        !self.processes().is_empty()
    }

    /// Ends writing. Makes a system call if a thread waits, or has waited meanwhile.
    ///
    /// # Errors
    /// Fails if `holder` does not write. Then nothing changes.
    #[inline]
    pub fn unlock_write(&self, holder: Holder) -> Result<(), NotHolder> {
        if self.raw_lock().release(holder)? & READERS != 0 {
            self.wake_readers();
        }
        Ok(())
    }

    /// Ends writing, and marks the lock as poisoned by a panic of this process.
    ///
    /// # Errors
    /// Fails if `holder` does not write. Then nothing changes.
    pub fn unlock_write_poisoned(&self, holder: Holder) -> Result<(), NotHolder> {
        self.writer.poison_by_panic(holder)?;
        self.unlock_write(holder)
    }

    /// Returns whether `holder` writes. For another holder, the answer may be out of date at once.
    pub fn is_written_by(&self, holder: Holder) -> bool {
        self.writer.is_locked_by(holder)
    }

    /// Returns the cause of the first death or panic of a writer since the last
    /// [`clear_poison`](Self::clear_poison).
    #[inline]
    pub fn poison(&self) -> Option<Cause> {
        self.writer.poison()
    }

    /// Declares that the protected data is in order again. The caller must write.
    pub fn clear_poison(&self) {
        self.writer.clear_poison();
    }

    /// Must be called after the death of the process `dead`, which had this process slot. It is
    /// called for each lock that `dead` could reach, before the slot is given away. If `dead` was
    /// the writer, the lock becomes free and poisoned. The death of a reader does not poison it,
    /// nor that of a writer which waited for readers. Returns whether `dead` was the writer. Costs
    /// three system calls.
    pub fn recover(&self, dead: WorkerId, slot: ProcessSlot, cause: Cause) -> bool {
        self.processes().remove(slot);
        let owned = self.raw_lock().recover(dead, |word| {
            if word & DRAINING == 0 {
                self.writer.poison_word().set(cause);
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

    /// Wakes the writer that waits for readers.
    fn wake_writer(&self) {
        self.exit().futex().increment();
        self.exit().futex().wake();
    }

    pub(super) fn entrance(&self) -> Queue<'_, M> {
        Queue {
            memory: self.raw_lock().memory(),
            at: self.entrance,
        }
    }

    pub(super) fn exit(&self) -> Queue<'_, M> {
        Queue {
            memory: self.raw_lock().memory(),
            at: self.entrance + 1,
        }
    }

    #[inline]
    fn processes(&self) -> Processes<'_, M::Word> {
        let words = &self.raw_lock().memory().words()[self.readers..];
        Processes(&words[..Processes::<M::Word>::WORDS])
    }
}
