//! A semaphore.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};

use super::{
    Holder, LockError, NotHolder, Waiting,
    wait::{Queue, Wait, spin},
    waiter_count::{Record, WaiterCount},
    word::{belongs_to, process_field},
};
use crate::{
    ids::WorkerId,
    primitive::{Futex, Memory, Region, Word},
};

/// The number of words before the permits: the number of permits, the waiter count, and the place
/// where a search begins.
const HEAD: usize = 3;

/// The growth of the sequence for which all futures check again. It is more than the number of
/// waiting futures in a process. It is odd, so many deaths do not bring the sequence back to an old
/// value.
const ALL: u32 = (1 << 20) | 1;

/// The number of one of a semaphore's permits. The permit belongs to a process, whose threads may
/// pass it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Permit(pub u32);

/// A semaphore in shared memory. A clone is the same semaphore. README: "Semaphores".
///
/// Each permit is a word that names its process, so exactly the permits of a dead process come
/// back. An acquisition searches for a word that is zero. The search begins where a permit was
/// released last, or after the one that was taken last.
///
/// With some permits left, an acquisition usually costs a few loads and a compare-and-swap. With
/// none it costs a load for each permit. A thread that has waited for a millisecond is served
/// before later threads.
#[derive(Clone, Debug)]
pub struct RawSemaphore<M = Region> {
    memory: M,
    word: usize,
    futex: usize,
    permits: usize,
}

impl<M: Memory> RawSemaphore<M> {
    /// The number of futexes that it takes. They begin with any value.
    pub const FUTEXES: usize = 1;

    /// Returns the number of 64-bit words that it takes. They begin as zero, and then
    /// [`init`](RawSemaphore::init) follows.
    pub const fn words(permits: u32) -> usize {
        HEAD + permits as usize
    }

    /// Sets the number of permits of the semaphore at these words, and returns the semaphore. Must
    /// be called once, before others know of it.
    ///
    /// # Panics
    /// Panics if the words or the futex are outside the memory.
    pub fn init(memory: M, word_at: usize, futex_at: usize, permits: u32) -> RawSemaphore<M> {
        assert!(
            word_at + Self::words(permits) <= memory.words().len(),
            "a semaphore outside the memory"
        );
        memory.words()[word_at].store(permits.into(), Relaxed);
        RawSemaphore::new(memory, word_at, futex_at)
    }

    /// Returns the semaphore at these words and this futex of `memory`. Reads the number of permits
    /// now, and never again.
    ///
    /// # Panics
    /// Panics if the first words or the futex are outside the memory. A semaphore that seems to
    /// reach beyond the end of the memory ends there.
    pub fn new(memory: M, word_at: usize, futex_at: usize) -> RawSemaphore<M> {
        let words = memory.words().len();
        assert!(word_at + HEAD <= words, "a semaphore outside the memory");
        memory.futex(futex_at);
        let permits = memory.words()[word_at].load(Relaxed);
        let permits = usize::try_from(permits).unwrap_or(usize::MAX);
        RawSemaphore {
            memory,
            word: word_at,
            futex: futex_at,
            permits: permits.min(words - word_at - HEAD),
        }
    }

    /// Returns the number of permits.
    pub fn permits(&self) -> u32 {
        self.permits as u32
    }

    /// Returns the number of free permits. It may be out of date at once. Costs a load for each
    /// permit.
    pub fn available(&self) -> u32 {
        let free = |word: &&M::Word| word.load(Relaxed) == 0;
        self.slots().iter().filter(free).count() as u32
    }

    /// Takes a permit for the holder's process if that needs no waiting.
    ///
    /// # Errors
    /// Fails with [`LockError::Busy`], also if the free permits are promised to a thread that has
    /// waited long.
    #[inline]
    pub fn try_acquire(&self, holder: Holder) -> Result<Permit, LockError> {
        if self.waiter_count().look().starving() {
            return Err(LockError::Busy);
        }
        self.find(holder).ok_or(LockError::Busy)
    }

    /// Takes a permit for the holder's process, and waits as long as `waiting` permits.
    ///
    /// # Errors
    /// Fails with [`LockError::TimedOut`] or [`LockError::Ended`].
    #[inline]
    pub fn acquire<'s>(
        &self,
        holder: Holder,
        waiting: impl Into<Waiting<'s>>,
    ) -> Result<Permit, LockError> {
        match self.try_acquire(holder) {
            Ok(permit) => Ok(permit),
            Err(_) => self.acquire_later(holder, waiting.into()),
        }
    }

    #[cold]
    fn acquire_later(&self, holder: Holder, waiting: Waiting<'_>) -> Result<Permit, LockError> {
        let mut found = None;
        // No thread spins if others sleep already.
        spin(|| {
            let others = self.waiter_count().look().any();
            if !others {
                found = self.find(holder);
            }
            found.is_some() || others
        });
        if let Some(permit) = found {
            return Ok(permit);
        }
        let mut wait = Wait::until(waiting);
        let mut entered: Option<Record> = None;
        let end = loop {
            let seq = self.queue().futex().load(Acquire);
            let record = match entered {
                Some(record) if self.waiter_count().is_current(record) => record,
                _ => *entered.insert(self.waiter_count().enter()),
            };
            if wait.is_long() {
                self.waiter_count().starve();
            }
            // After the entry into the waiter count. A thread may release a permit that this search
            // misses. It then finds this thread in the count.
            if (wait.slept || !record.starving())
                && let Some(permit) = self.find(holder)
            {
                break Ok(permit);
            }
            match wait.left() {
                Ok(left) => {
                    let long = wait.is_long();
                    let aside = || self.step_aside(record, long);
                    if let Err(error) = wait.sleep(self.queue(), seq, left, aside) {
                        break Err(error);
                    }
                    if wait.stepped_aside() {
                        entered = None;
                    }
                }
                Err(error) => break Err(error),
            }
        };
        if let Some(entered) = entered {
            self.leave(entered, wait.is_long());
        }
        end
    }

    pub(super) fn leave(&self, entered: Record, starving: bool) {
        if self.waiter_count().leave(entered, starving) {
            // Wakes the threads that were barred for this one.
            self.wake();
        }
    }

    /// Lets others go first, for a thread that has slept and cannot check before it has its turn.
    /// README: "Turns".
    fn step_aside(&self, entered: Record, starving: bool) {
        self.leave(entered, starving);
        self.pass();
    }

    /// Passes on a wake-up, for a thread or future that does not take the permit for which it was
    /// woken.
    pub(super) fn pass(&self) {
        if self.waiter_count().look().any() {
            self.wake_one();
        }
    }

    /// Wakes all sleepers. The sequence grows by the number of free permits, so this many futures
    /// check.
    fn wake(&self) {
        self.wake_growing(self.available().max(1));
    }

    fn wake_growing(&self, growth: u32) {
        self.queue().futex().add(growth);
        self.queue().futex().wake();
    }

    /// Releases a permit. Makes a system call if a thread waits.
    ///
    /// # Errors
    /// Fails if the holder's process does not have the permit. Then nothing changes.
    #[inline]
    pub fn release(&self, permit: Permit, holder: Holder) -> Result<(), NotHolder> {
        let at = permit.0 as usize;
        let slot = self.slots().get(at).ok_or(NotHolder)?;
        slot.exchange(process_field(holder.process()) << 32, 0, SeqCst)
            .map_err(|_| NotHolder)?;
        self.hint().store(at as u64, Relaxed);
        if self.waiter_count().look().any() {
            self.wake_one();
        }
        Ok(())
    }

    /// Must be called after the death of the process `dead`, for each semaphore that it could
    /// reach. Frees its permits and returns their number. Costs a load for each permit, and a
    /// system call.
    pub fn recover(&self, dead: WorkerId) -> u32 {
        let mut freed = 0;
        for slot in self.slots() {
            let word = slot.load(Acquire);
            if belongs_to(word, dead) && slot.exchange(word, 0, SeqCst).is_ok() {
                freed += 1;
            }
        }
        self.waiter_count().restart();
        self.wake_growing(ALL);
        freed
    }

    #[inline]
    pub(super) fn find(&self, holder: Holder) -> Option<Permit> {
        let slots = self.slots();
        let hint = self.hint().load(Relaxed);
        let hint = usize::try_from(hint).unwrap_or(0);
        let begin = if hint < slots.len() { hint } else { 0 };
        let (before, from) = slots.split_at(begin);
        let take = |slot: &M::Word| {
            slot.load(SeqCst) == 0
                && slot
                    .exchange(0, process_field(holder.process()) << 32, AcqRel)
                    .is_ok()
        };
        let at = match from.iter().position(take) {
            Some(at) => begin + at,
            None => before.iter().position(take)?,
        };
        // The next search begins at the next word, since this one is taken.
        self.hint().store(at as u64 + 1, Relaxed);
        Some(Permit(at as u32))
    }

    fn wake_one(&self) {
        self.queue().futex().increment();
        self.queue().futex().wake_one();
    }

    #[inline]
    pub(super) fn waiter_count(&self) -> WaiterCount<'_, M::Word> {
        WaiterCount(&self.memory.words()[self.word + 1])
    }

    #[inline]
    fn hint(&self) -> &M::Word {
        &self.memory.words()[self.word + 2]
    }

    #[inline]
    fn slots(&self) -> &[M::Word] {
        let begin = self.word + HEAD;
        &self.memory.words()[begin..begin + self.permits]
    }

    pub(super) fn queue(&self) -> Queue<'_, M> {
        Queue {
            memory: &self.memory,
            at: self.futex,
        }
    }
}
