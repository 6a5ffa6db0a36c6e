//! A number of permits.

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

/// The number of permits, the waiter count, where to begin to look.
const HEAD: usize = 3;

/// What the sequence grows by when all futures are to look: more than wait in one process. It is
/// odd, so that many deaths do not bring the sequence back to where it was.
const ALL: u32 = (1 << 20) | 1;

/// One of a semaphore's permits, by its number. It belongs to a process, whose threads may pass it
/// on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Permit(pub u32);

/// A semaphore in shared memory. A clone is the same one. README: "Semaphores".
///
/// Each permit is a word that names its process, so that a dead one's permits come back, all and no
/// more. To acquire is to look for a word that is zero, beginning where one was given back last:
/// with some permits left, a few loads and a compare-and-swap as a rule, with none a load for each
/// permit. Whoever has waited for a millisecond is served before those who come later.
#[derive(Clone, Debug)]
pub struct RawSemaphore<M = Region> {
    memory: M,
    word: usize,
    futex: usize,
    permits: usize,
}

impl<M: Memory> RawSemaphore<M> {
    /// How many futexes it takes. They begin with any value.
    pub const FUTEXES: usize = 1;

    /// How many 64-bit words it takes. They begin as zero, and then [`init`](RawSemaphore::init).
    pub const fn words(permits: u32) -> usize {
        HEAD + permits as usize
    }

    /// Gives the semaphore at these words its size. To be called once, before others know of it.
    ///
    /// # Panics
    /// If the memory has not got them.
    pub fn init(memory: M, word_at: usize, futex_at: usize, permits: u32) -> RawSemaphore<M> {
        assert!(
            word_at + Self::words(permits) <= memory.words().len(),
            "a semaphore outside the memory"
        );
        memory.words()[word_at].store(permits.into(), Relaxed);
        RawSemaphore::new(memory, word_at, futex_at)
    }

    /// The semaphore at these words and this futex of `memory`. Its size is read now, and never
    /// again.
    ///
    /// # Panics
    /// If the memory has not got its first words or the futex. One that seems to go beyond the end
    /// of the memory ends there.
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

    /// How many permits there are.
    pub fn permits(&self) -> u32 {
        self.permits as u32
    }

    /// How many of them nobody has. Out of date at once. Cost: a load for each.
    pub fn available(&self) -> u32 {
        let free = |word: &&M::Word| word.load(Relaxed) == 0;
        self.slots().iter().filter(free).count() as u32
    }

    /// Takes a permit for the holder's process if that needs no waiting.
    ///
    /// # Errors
    /// [`LockError::Busy`], also when what is left is promised to somebody who has waited long.
    #[inline]
    pub fn try_acquire(&self, holder: Holder) -> Result<Permit, LockError> {
        if self.waiter_count().look().starving() {
            return Err(LockError::Busy);
        }
        self.find(holder).ok_or(LockError::Busy)
    }

    /// Takes a permit for the holder's process, and waits for one as long as `waiting` permits.
    ///
    /// # Errors
    /// [`LockError::TimedOut`], [`LockError::Ended`].
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
        // Where others sleep already, nobody spins.
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
            // Behind the entry: whoever gives one back that we do not find will find us entered.
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
            // Those who were barred for our sake.
            self.wake();
        }
    }

    /// One that has slept cannot look before it has its turn. README: "Turns".
    fn step_aside(&self, entered: Record, starving: bool) {
        self.leave(entered, starving);
        self.pass();
    }

    /// One that was woken does not take the permit that it may have been woken for.
    pub(super) fn pass(&self) {
        if self.waiter_count().look().any() {
            self.wake_one();
        }
    }

    /// Wakes all who sleep. The sequence grows by as many permits as there are, so that as many
    /// futures look.
    fn wake(&self) {
        self.wake_growing(self.available().max(1));
    }

    fn wake_growing(&self, growth: u32) {
        self.queue().futex().add(growth);
        self.queue().futex().wake();
    }

    /// Gives a permit back. Makes a system call if somebody waits.
    ///
    /// # Errors
    /// When the holder's process does not have it. Then nothing changes.
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

    /// To be called after the process `dead` is known to be dead, for each semaphore that it could
    /// reach. Gives its permits back and says how many those were. Cost: a load for each permit,
    /// and a system call.
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
        // Rather than at what is taken, look at the next.
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
