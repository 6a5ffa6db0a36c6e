//! A place where a number of parties wait for each other.

use std::{
    fmt,
    sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use super::{
    Cause, How, Waiting,
    wait::{Queue, Wait, spin},
};
use crate::primitive::{Futex, Memory, Region, Word};

/// Nobody can get through any more.
const BROKEN: u64 = 1 << 63;
/// Counts resets: bits 62..48.
const RESET: u64 = 1 << 48;
const RESETS: u64 = BROKEN - RESET;
/// Counts rounds that were completed: bits 47..20.
const ROUND: u64 = 1 << 20;
const ROUNDS: u64 = RESET - ROUND;
/// How many have arrived in this round.
const ARRIVED: u64 = ROUND - 1;

/// Why somebody did not get through a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BarrierError {
    /// It is broken, and remains so until it is [reset](RawBarrier::reset).
    Broken(Cause),
    /// It was reset before this thread noticed that all had arrived.
    Reset,
    /// The deadline has passed, and the barrier is broken by that.
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

/// A barrier in shared memory, for round after round. A clone is the same one. README: "Barriers".
#[derive(Clone, Debug)]
pub struct RawBarrier<M = Region> {
    memory: M,
    word: usize,
    futex: usize,
}

impl<M: Memory> RawBarrier<M> {
    /// How many 64-bit words it takes. They begin as zero, and then [`init`](RawBarrier::init).
    pub const WORDS: usize = 3;
    /// How many futexes it takes. They begin with any value.
    pub const FUTEXES: usize = 1;
    /// How many parties there can be.
    pub const MAX_PARTIES: u32 = ARRIVED as u32;

    /// Gives the barrier at these words its size. To be called once, before others know of it. None
    /// counts as one party.
    ///
    /// # Panics
    /// If the memory has not got them, or there are more than [`MAX_PARTIES`](Self::MAX_PARTIES).
    pub fn init(memory: M, word_at: usize, futex_at: usize, parties: u32) -> RawBarrier<M> {
        assert!(
            parties <= Self::MAX_PARTIES,
            "{parties} are too many parties"
        );
        let barrier = RawBarrier::new(memory, word_at, futex_at);
        barrier.words()[0].store(parties.into(), Relaxed);
        barrier
    }

    /// The barrier at these words and this futex of `memory`.
    ///
    /// # Panics
    /// If the memory has not got them.
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

    /// How many have to arrive.
    pub fn parties(&self) -> u32 {
        let parties = self.words()[0].load(Relaxed);
        parties.clamp(1, ARRIVED) as u32
    }

    /// Returns when all parties of this round have arrived. Says to one of them, the last, that it
    /// is the leader. What any of them did before is visible to all of them afterwards.
    ///
    /// # Errors
    /// When the barrier is or gets broken, by the deadline among other things; or is reset before
    /// this thread has noticed that all have arrived; or the runtime ends.
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
                // Whoever has broken it is about to say why, and wakes us then.
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
                    // All are woken, so nobody has to step aside.
                    let slept = wait.sleep(self.queue(), seq, left, || ());
                    // This one will not come again, and the others would wait for it.
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

    /// Breaks the barrier: those who wait, and all who come, get an error with the first cause. To
    /// be called after a process that could reach it is known to be dead, for it may be one of
    /// those who had to arrive, and for others that want it broken. One system call.
    pub fn break_with(&self, cause: Cause) {
        loop {
            let state = self.state().load(Acquire);
            if state & BROKEN != 0 {
                // The dead one may have broken it and not have come to say why.
                let _ = self.words()[2].exchange(0, cause.encode(), AcqRel);
                return self.wake();
            }
            if self.break_from(state, cause) {
                return;
            }
        }
    }

    /// Why it is broken, if it is.
    pub fn broken(&self) -> Option<Cause> {
        if self.state().load(Acquire) & BROKEN != 0 {
            self.cause()
        } else {
            None
        }
    }

    /// Begins anew, with nobody having arrived. Those who wait get an error. One system call.
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

    /// The size, the state, and the cause.
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

/// Nobody has arrived in the next round.
fn next_round(state: u64) -> u64 {
    state & RESETS | state.wrapping_add(ROUND) & ROUNDS
}
