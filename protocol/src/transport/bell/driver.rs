//! The one bell of the driver, which all workers ring.

use std::{
    sync::{
        Arc,
        atomic::Ordering::{Acquire, Relaxed, Release},
    },
    time::Duration,
};

use crate::primitive::{Futex, Memory, Region};

/// Futexes from one variable to the next: 128 bytes, as in the ring.
const LINE: usize = 32;

const STATE: usize = 0;
const BACKGROUND_SEQ: usize = LINE;
const FOREGROUND_SEQ: usize = 2 * LINE;
#[cfg(all(test, loom))]
pub(crate) const FUTEXES: usize = FOREGROUND_SEQ + 1;

/// The background thread is awake, or about to look before it sleeps.
const BACKGROUND_AWAKE: u32 = 0;
/// The background thread sleeps, or will notice that it was rung when it tries to.
const BACKGROUND_ASLEEP: u32 = 1;
/// A foreground caller has the lead, and sleeps.
const LEAD_ASLEEP: u32 = 2;
/// A foreground caller has the lead, and polls.
const LEAD_AWAKE: u32 = 3;

/// Added to each of these: the background thread is in a nap, and will look soon.
const NAPPING: u32 = 4;

/// The state without the mark of a nap.
fn who(state: u32) -> u32 {
    state & !NAPPING
}

/// The driver's doorbell. All workers share it; in the driver, either the background thread answers
/// it, or a foreground caller that has taken the *lead* because it waits for a result anyway. A
/// clone is the same bell.
///
/// States and reasons: `ring/README.md`, "The driver's bell".
#[derive(Debug)]
pub struct DriverBell<M: Memory = Region> {
    memory: M,
    /// 1 while a foreground caller has the lead. Private to the driver, so that taking and leaving
    /// the lead need not change a word that workers look at.
    led: Arc<M::Futex>,
}

impl<M: Memory> Clone for DriverBell<M> {
    fn clone(&self) -> DriverBell<M> {
        DriverBell {
            memory: self.memory.clone(),
            led: self.led.clone(),
        }
    }
}

impl<M: Memory> DriverBell<M> {
    /// The bell on the first futexes of `memory`, which must begin as zero.
    ///
    /// # Panics
    /// If the memory has too few.
    pub fn new(memory: M) -> DriverBell<M> {
        memory.futex(FOREGROUND_SEQ);
        DriverBell {
            memory,
            led: Arc::default(),
        }
    }

    /// Wakes whoever answers the bell, if that thread sleeps, to look at what was published before
    /// this call. Cost: a fence and a load; two atomic operations and a system call if it sleeps.
    pub fn ring(&self) {
        M::fence();
        let state = self.state().load(Relaxed);
        match who(state) {
            BACKGROUND_AWAKE | LEAD_AWAKE => {}
            _ => self.wake(state),
        }
    }

    /// Makes the background thread return from its present or next sleep, whoever has the lead. For
    /// what is addressed to that thread itself.
    pub fn ring_background(&self) {
        self.change(|state| match who(state) {
            BACKGROUND_ASLEEP => state & NAPPING | BACKGROUND_AWAKE,
            _ => state,
        });
        self.bump(BACKGROUND_SEQ);
    }

    /// Wakes both the background thread and a caller that sleeps with the lead, and repairs the
    /// state. For the death of a worker: it may have died between announcing a wake-up and giving
    /// it, or while it wrote garbage.
    pub fn ring_all(&self) {
        self.change(|state| match who(state) {
            BACKGROUND_ASLEEP => state & NAPPING | BACKGROUND_AWAKE,
            LEAD_ASLEEP => state & NAPPING | LEAD_AWAKE,
            _ => state,
        });
        self.bump(BACKGROUND_SEQ);
        self.bump(FOREGROUND_SEQ);
    }

    /// The background thread's sleep, until the bell is rung for it or the timeout has passed,
    /// unless `has_work` says that there is no need. That is asked after the intention to sleep is
    /// visible. It is told whether a foreground caller has the lead: if so, the rings are that
    /// caller's business, and only what is addressed to the background thread counts.
    ///
    /// Returns early now and then; the caller looks again in any case. Only the background thread
    /// may call this. The timeout bounds the harm of a stray write to the bell's memory.
    pub fn sleep_background(&self, timeout: Option<Duration>, has_work: impl FnOnce(bool) -> bool) {
        // README: read before the state, so that a bump that we have not seen ends the wait.
        let seq = self.memory.futex(BACKGROUND_SEQ).load(Acquire);
        let _ = self.state().replace(BACKGROUND_AWAKE, BACKGROUND_ASLEEP);
        M::fence();
        if !has_work(self.is_led()) {
            self.memory.futex(BACKGROUND_SEQ).wait(seq, timeout);
        }
        let _ = self.state().replace(BACKGROUND_ASLEEP, BACKGROUND_AWAKE);
    }

    /// The background thread's nap: a sleep of limited length for which nobody has to wake it,
    /// since it will look afterwards in any case. As long as foreground callers come again and
    /// again and look themselves, naps spare the workers the ringing and those callers the handing
    /// over.
    ///
    /// `awake` is asked after the nap is visible, and keeps it from beginning: it must look at what
    /// [`hurry`](DriverBell::hurry) stands for. Only the background thread may call this, and must
    /// look at the rings afterwards.
    pub fn nap(&self, limit: Duration, awake: impl FnOnce() -> bool) {
        let seq = self.memory.futex(BACKGROUND_SEQ).load(Acquire);
        self.change(|state| state | NAPPING);
        M::fence();
        if !awake() {
            self.memory.futex(BACKGROUND_SEQ).wait(seq, Some(limit));
        }
        self.change(who);
        // README, "The driver's bell": who has left the lead in the nap has left the state to us.
        M::fence();
        if !self.is_led() {
            let _ = self.state().replace(LEAD_AWAKE, BACKGROUND_AWAKE);
        }
    }

    /// Ends the background thread's nap, if it is in one. Cost: a fence and a load; a system call
    /// if there is a nap.
    pub fn hurry(&self) {
        M::fence();
        if self.state().load(Relaxed) & NAPPING != 0 {
            self.bump(BACKGROUND_SEQ);
        }
    }

    /// Whether a foreground caller has the lead.
    pub fn is_led(&self) -> bool {
        self.led.load(Acquire) != 0
    }

    /// Takes the lead for a foreground caller, unless another has it. From then on the rings are
    /// the caller's to poll, and the background thread is left asleep.
    pub fn lead(&self) -> Option<Lead<'_, M>> {
        self.led.replace(0, 1).ok()?;
        if who(self.state().load(Relaxed)) != LEAD_AWAKE {
            self.change(|state| state & NAPPING | LEAD_AWAKE);
        }
        // No fence: the one before the lead sleeps or leaves, and the look behind it, are enough.
        Some(Lead { bell: self })
    }

    #[cold]
    fn wake(&self, asleep: u32) {
        let nap = asleep & NAPPING;
        let (awake, seq) = match who(asleep) {
            BACKGROUND_ASLEEP => (nap | BACKGROUND_AWAKE, BACKGROUND_SEQ),
            LEAD_ASLEEP => (nap | LEAD_AWAKE, FOREGROUND_SEQ),
            // A stray write. Whoever sleeps looks, and sets the state right when it sleeps again.
            _ => {
                if self.state().replace(asleep, BACKGROUND_AWAKE).is_ok() {
                    self.ring_all();
                }
                return;
            }
        };
        match self.state().replace(asleep, awake) {
            Ok(()) => self.bump(seq),
            // A nap has begun or ended; the same sleeper sleeps on.
            Err(now) if now ^ asleep == NAPPING => self.wake(now),
            Err(_) => {}
        }
    }

    /// Changes the state in one step, always with a write; returns what it was.
    fn change(&self, to: impl Fn(u32) -> u32) -> u32 {
        let mut state = self.state().load(Relaxed);
        loop {
            match self.state().replace(state, to(state)) {
                Ok(()) => return state,
                Err(now) => state = now,
            }
        }
    }

    fn bump(&self, seq: usize) {
        let futex = self.memory.futex(seq);
        futex.increment();
        futex.wake();
    }

    fn state(&self) -> &M::Futex {
        self.memory.futex(STATE)
    }
}

/// The right and duty to answer the driver's bell, held by a foreground caller. It ends with
/// [`leave`](Lead::leave); merely dropped, it wakes the background thread, which is correct but
/// costs a system call.
#[must_use = "whoever has the lead must poll the rings"]
#[derive(Debug)]
pub struct Lead<'a, M: Memory = Region> {
    bell: &'a DriverBell<M>,
}

impl<M: Memory> Lead<'_, M> {
    /// Sleeps until the bell is rung or the timeout has passed, unless `has_work` says that there
    /// is no need. It must look at all rings and at the caller's own condition.
    ///
    /// Returns early now and then; the caller looks again in any case.
    pub fn sleep(&mut self, timeout: Option<Duration>, has_work: impl FnOnce() -> bool) {
        let bell = self.bell;
        let seq = bell.memory.futex(FOREGROUND_SEQ).load(Acquire);
        bell.change(|state| state & NAPPING | LEAD_ASLEEP);
        M::fence();
        if !has_work() {
            bell.memory.futex(FOREGROUND_SEQ).wait(seq, timeout);
        }
        // Not a mere attempt: a nap may begin or end at any time.
        bell.change(|state| match who(state) {
            LEAD_ASLEEP => state & NAPPING | LEAD_AWAKE,
            _ => state,
        });
    }

    /// Gives the lead back to the background thread: without a further look if that is in a nap,
    /// and otherwise without waking it, unless `has_work` says that there is something in the rings
    /// now. Returns whether that was asked.
    pub fn leave(self, has_work: impl FnOnce() -> bool) -> bool {
        let bell = self.bell;
        std::mem::forget(self);
        bell.led.store(0, Release);
        M::fence();
        let asks = bell.state().load(Relaxed) & NAPPING == 0;
        if asks {
            bell.hand_back();
            M::fence();
            if has_work() {
                bell.ring_background();
            }
        }
        asks
    }
}

impl<M: Memory> DriverBell<M> {
    /// The background thread answers from now on, unless another caller that has taken the lead
    /// meanwhile sleeps with it.
    fn hand_back(&self) {
        self.change(|state| match who(state) {
            LEAD_AWAKE => state & NAPPING | BACKGROUND_ASLEEP,
            _ => state,
        });
    }
}

impl<M: Memory> Drop for Lead<'_, M> {
    fn drop(&mut self) {
        self.bell.led.store(0, Release);
        M::fence();
        self.bell.hand_back();
        self.bell.ring_background();
    }
}
