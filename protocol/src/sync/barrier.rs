//! A barrier, at which a number of parties wait for each other.

use std::{
    fmt,
    sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use super::{
    Cause, How, Waiting,
    wait::{Queue, Wait, spin},
};
use crate::primitive::{Futex, Memory, Region, Word};

/// The barrier is broken: no party can pass any more.
const BROKEN: u64 = 1 << 63;
/// Counts resets: bits 62..48.
const RESET: u64 = 1 << 48;
const RESETS: u64 = BROKEN - RESET;
/// Counts completed rounds: bits 47..20.
const ROUND: u64 = 1 << 20;
const ROUNDS: u64 = RESET - ROUND;
/// Counts the parties that have arrived in this round.
const ARRIVED: u64 = ROUND - 1;

/// The reason for which a party did not pass a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BarrierError {
    /// It is broken, and stays so until it is [reset](RawBarrier::reset).
    Broken(Cause),
    /// It was reset before this thread noticed that all had arrived.
    Reset,
    /// The deadline has passed. That breaks the barrier.
    TimedOut,
    /// The runtime has ended before all have arrived.
    Ended,
}

impl fmt::Display for BarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BarrierError::Broken(cause) => write!(f, "the barrier is broken: {cause}"),
            BarrierError::Reset => f.write_str("the barrier was reset"),
            BarrierError::TimedOut => f.write_str("not all have arrived before the deadline"),
            BarrierError::Ended => f.write_str("the runtime has ended before all have arrived"),
        }
    }
}

impl std::error::Error for BarrierError {}

/// A barrier in shared memory, for any number of rounds. A clone is the same barrier. README:
/// "Barriers".
#[derive(Clone, Debug)]
pub struct RawBarrier<M = Region> {
    memory: M,
    word: usize,
    futex: usize,
}

impl<M: Memory> RawBarrier<M> {
    /// The number of 64-bit words that it takes. They begin as zero, and then
    /// [`init`](RawBarrier::init) follows.
    pub const WORDS: usize = 3;
    /// The number of futexes that it takes. They begin with any value.
    pub const FUTEXES: usize = 1;
    /// The largest number of parties.
    pub const MAX_PARTIES: u32 = ARRIVED as u32;

    /// Sets the number of parties of the barrier at these words, and returns the barrier. Must be
    /// called once, before others know of the barrier. 0 counts as one party.
    ///
    /// # Panics
    /// Panics if the words or the futex are outside the memory, or if there are more than
    /// [`MAX_PARTIES`](Self::MAX_PARTIES).
    pub fn init(memory: M, word_at: usize, futex_at: usize, parties: u32) -> RawBarrier<M> {
        assert!(
            parties <= Self::MAX_PARTIES,
            "{parties} are too many parties"
        );
        let barrier = RawBarrier::new(memory, word_at, futex_at);
        barrier.words()[0].store(parties.into(), Relaxed);
        barrier
    }

    /// Returns the barrier at these words and this futex of `memory`.
    ///
    /// # Panics
    /// Panics if they are outside the memory.
    pub fn new(memory: M, word_at: usize, futex_at: usize) -> RawBarrier<M> {
        assert!(
            word_at + Self::WORDS <= memory.words().len(),
            "a barrier outside the memory"
        );
        memory.futex(futex_at);
        RawBarrier {
            memory,
            word: word_at,
            futex: futex_at,
        }
    }

    /// Returns the number of parties.
    pub fn parties(&self) -> u32 {
        let parties = self.words()[0].load(Relaxed);
        parties.clamp(1, ARRIVED) as u32
    }

    /// Blocks until all parties of this round have arrived. Returns `true` to one of them, the
    /// last, which is the leader. All memory operations of a party before its call are visible to
    /// all parties after their calls.
    ///
    /// # Errors
    /// Fails if the barrier is broken or gets broken, for example by the deadline. Fails if it is
    /// reset before this thread notices that all have arrived, or if the runtime ends.
    pub fn wait<'s>(&self, waiting: impl Into<Waiting<'s>>) -> Result<bool, BarrierError> {
        let mut wait = Wait::until(waiting.into());
        let mut arrived = None;
        loop {
            let seq = self.queue().futex().load(Acquire);
            let state = self.state().load(Acquire);
            if let Some(arrived) = arrived {
                let differ = state ^ arrived;
                if differ & RESETS != 0 {
                    return Err(BarrierError::Reset);
                }
                if differ & ROUNDS != 0 {
                    return Ok(false);
                }
            }
            if state & BROKEN != 0 {
                if let Some(cause) = self.cause() {
                    return Err(BarrierError::Broken(cause));
                }
                // The thread that has broken it is about to store the cause, and then wakes this
                // one.
            } else if arrived.is_none() {
                let last = (state & ARRIVED) + 1 >= self.parties().into();
                let new = if last { next_round(state) } else { state + 1 };
                if self.state().exchange(state, new, AcqRel).is_ok() {
                    if last {
                        self.wake();
                        return Ok(true);
                    }
                    arrived = Some(new);
                    let same = |state| (state ^ new) & !ARRIVED == 0;
                    spin(|| !same(self.state().load(Acquire)));
                }
                continue;
            }
            match wait.left() {
                Ok(left) => {
                    // All threads are woken, so none has to step aside.
                    let slept = wait.sleep(self.queue(), seq, left, || ());
                    // This thread will not come again, and the others would wait for it.
                    if slept.is_err()
                        && (state & BROKEN != 0
                            || self.break_from(state, Cause::here(How::TimedOut)))
                    {
                        return Err(BarrierError::Ended);
                    }
                }
                Err(_) if state & BROKEN != 0 => return Err(BarrierError::TimedOut),
                Err(_) => {
                    if self.break_from(state, Cause::here(How::TimedOut)) {
                        return Err(BarrierError::TimedOut);
                    }
                }
            }
        }
    }

    /// Breaks the barrier: all waiting and all later parties get an error with the first cause.
    /// Must be called after the death of a process that could reach it, since that process may be
    /// one of the parties. Others may call it, too. Costs one system call.
    pub fn break_with(&self, cause: Cause) {
        loop {
            let state = self.state().load(Acquire);
            if state & BROKEN != 0 {
                // A dead process may have broken it without storing the cause.
                let _ = self.words()[2].exchange(0, cause.encode(), AcqRel);
                return self.wake();
            }
            if self.break_from(state, cause) {
                return;
            }
        }
    }

    /// Returns the cause if the barrier is broken.
    pub fn broken(&self) -> Option<Cause> {
        if self.state().load(Acquire) & BROKEN != 0 {
            self.cause()
        } else {
            None
        }
    }

    /// Resets the barrier: no party has arrived. Waiting parties get an error. Costs one system
    /// call.
    pub fn reset(&self) {
        self.words()[2].store(0, Release);
        let mut state = self.state().load(Acquire);
        loop {
            let resets = state.wrapping_add(RESET) & RESETS;
            let new = state & ROUNDS | resets;
            match self.state().exchange(state, new, AcqRel) {
                Ok(()) => return self.wake(),
                Err(found) => state = found,
            }
        }
    }

    fn break_from(&self, state: u64, cause: Cause) -> bool {
        if self
            .state()
            .exchange(state, state | BROKEN, AcqRel)
            .is_err()
        {
            return false;
        }
        self.words()[2].store(cause.encode(), Release);
        self.wake();
        true
    }

    fn cause(&self) -> Option<Cause> {
        Cause::decode(self.words()[2].load(Acquire))
    }

    fn wake(&self) {
        self.queue().futex().increment();
        self.queue().futex().wake();
    }

    /// Returns the words: the number of parties, the state, and the cause.
    fn words(&self) -> &[M::Word] {
        &self.memory.words()[self.word..self.word + Self::WORDS]
    }

    fn state(&self) -> &M::Word {
        &self.words()[1]
    }

    fn queue(&self) -> Queue<'_, M> {
        Queue {
            memory: &self.memory,
            at: self.futex,
        }
    }
}

/// Returns the state of the next round, in which no party has arrived.
fn next_round(state: u64) -> u64 {
    state & RESETS | state.wrapping_add(ROUND) & ROUNDS
}
