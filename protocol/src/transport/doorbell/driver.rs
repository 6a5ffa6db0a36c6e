//! The one doorbell of the driver, which all workers notify.

use std::{
    sync::{
        Arc,
        atomic::Ordering::{Acquire, Relaxed, Release},
    },
    time::Duration,
};

use crate::primitive::{Futex, Memory, Region};

/// The distance of two variables in futexes: 128 bytes, like in the ring.
const LINE: usize = 32;

const STATE: usize = 0;
const BACKGROUND_SEQ: usize = LINE;
const FOREGROUND_SEQ: usize = 2 * LINE;
#[cfg(all(test, loom))]
pub(crate) const FUTEXES: usize = FOREGROUND_SEQ + 1;

/// The background thread is awake, or is about to check before it sleeps.
const BACKGROUND_AWAKE: u32 = 0;
/// The background thread sleeps, or will notice a notification when it tries to.
const BACKGROUND_ASLEEP: u32 = 1;
/// A foreground caller is the leader, and sleeps.
const LEADER_ASLEEP: u32 = 2;
/// A foreground caller is the leader, and polls.
const LEADER_AWAKE: u32 = 3;

/// A mark that is added to a state: the background thread is in a timed park, and will check soon.
const TIMED_PARK: u32 = 4;

/// Returns the state without the mark of a timed park.
fn who(state: u32) -> u32 {
    state & !TIMED_PARK
}

/// The driver's doorbell. All workers share it. In the driver the background thread answers it, or
/// a foreground caller that is the *leader*, since it waits for a result anyway. A clone is the
/// same doorbell.
///
/// `ring/README.md` explains the states and the reasons under "The driver's doorbell".
#[derive(Debug)]
pub struct DriverDoorbell<M: Memory = Region> {
    memory: M,
    /// 1 while a foreground caller is the leader. It is private to the driver. So a change of the
    /// leader need not change a word that workers read.
    led: Arc<M::Futex>,
}

impl<M: Memory> Clone for DriverDoorbell<M> {
    fn clone(&self) -> DriverDoorbell<M> {
        DriverDoorbell {
            memory: self.memory.clone(),
            led: self.led.clone(),
        }
    }
}

impl<M: Memory> DriverDoorbell<M> {
    /// Returns the doorbell on the first futexes of `memory`, which must begin as zero.
    ///
    /// # Panics
    /// Panics if the memory has too few.
    pub fn new(memory: M) -> DriverDoorbell<M> {
        memory.futex(FOREGROUND_SEQ);
        DriverDoorbell {
            memory,
            led: Arc::default(),
        }
    }

    /// Wakes the thread that answers the doorbell, if it sleeps. It then checks for data that was
    /// published before this call. Costs a fence and a load. If the thread sleeps, costs two atomic
    /// operations and a system call more.
    pub fn notify(&self) {
        M::fence();
        let state = self.state().load(Relaxed);
        match who(state) {
            BACKGROUND_AWAKE | LEADER_AWAKE => {}
            _ => self.wake(state),
        }
    }

    /// Ends the present or next sleep of the background thread, whether or not it is the one that
    /// answers. For work that is addressed to that thread.
    pub fn notify_background(&self) {
        self.change(|state| match who(state) {
            BACKGROUND_ASLEEP => state & TIMED_PARK | BACKGROUND_AWAKE,
            _ => state,
        });
        self.bump(BACKGROUND_SEQ);
    }

    /// Wakes the background thread and a sleeping leader, and repairs the state. Must be called
    /// after the death of a worker. The worker may have died between the announcement of a wake-up
    /// and the wake-up, or may have written garbage.
    pub fn notify_all(&self) {
        self.change(|state| match who(state) {
            BACKGROUND_ASLEEP => state & TIMED_PARK | BACKGROUND_AWAKE,
            LEADER_ASLEEP => state & TIMED_PARK | LEADER_AWAKE,
            _ => state,
        });
        self.bump(BACKGROUND_SEQ);
        self.bump(FOREGROUND_SEQ);
    }

    /// Sleeps in the background thread until a notification for it or the timeout, unless
    /// `has_work` returns `true`. `has_work` is called after the coming sleep is visible, and is
    /// told whether there is a leader. If there is one, the rings are the leader's, and only work
    /// that is addressed to the background thread counts.
    ///
    /// May return early, so the caller checks again in any case. Only the background thread may
    /// call this. The timeout bounds the harm of a stray write to the doorbell's memory.
    pub fn sleep_background(&self, timeout: Option<Duration>, has_work: impl FnOnce(bool) -> bool) {
        // README: read before the state, so an increment that this thread has not seen ends the
        // wait.
        let seq = self.memory.futex(BACKGROUND_SEQ).load(Acquire);
        let _ = self.state().replace(BACKGROUND_AWAKE, BACKGROUND_ASLEEP);
        M::fence();
        if !has_work(self.is_led()) {
            self.memory.futex(BACKGROUND_SEQ).wait(seq, timeout);
        }
        let _ = self.state().replace(BACKGROUND_ASLEEP, BACKGROUND_AWAKE);
    }

    /// Parks the background thread for at most `limit`. No thread needs to wake it, since it checks
    /// afterwards in any case. While foreground callers read the rings again and again, timed parks
    /// spare the workers notifications. They also spare the callers the handing over.
    ///
    /// `awake` is called after the timed park is visible, and prevents it by `true`. It must check
    /// the work for which [`unpark_early`](DriverDoorbell::unpark_early) is called. Only the
    /// background thread may call this, and it must check the rings afterwards.
    pub fn park_timed(&self, limit: Duration, awake: impl FnOnce() -> bool) {
        let seq = self.memory.futex(BACKGROUND_SEQ).load(Acquire);
        self.change(|state| state | TIMED_PARK);
        M::fence();
        if !awake() {
            self.memory.futex(BACKGROUND_SEQ).wait(seq, Some(limit));
        }
        self.change(who);
        // README, "The driver's doorbell": a leader that ended during the timed park has left the
        // state to this thread.
        M::fence();
        if !self.is_led() {
            let _ = self.state().replace(LEADER_AWAKE, BACKGROUND_AWAKE);
        }
    }

    /// Unparks the background thread early if it is in a timed park. Costs a fence and a load, and
    /// a system call in that case.
    pub fn unpark_early(&self) {
        M::fence();
        if self.state().load(Relaxed) & TIMED_PARK != 0 {
            self.bump(BACKGROUND_SEQ);
        }
    }

    /// Returns whether a foreground caller is the leader.
    pub fn is_led(&self) -> bool {
        self.led.load(Acquire) != 0
    }

    /// Makes a foreground caller the leader, unless there is one. From then on this caller polls
    /// the rings, and the background thread is left asleep.
    pub fn lead(&self) -> Option<Leader<'_, M>> {
        self.led.replace(0, 1).ok()?;
        if who(self.state().load(Relaxed)) != LEADER_AWAKE {
            self.change(|state| state & TIMED_PARK | LEADER_AWAKE);
        }
        // No fence: the fence before the leader sleeps or ends, and the check after it, are enough.
        Some(Leader { doorbell: self })
    }

    #[cold]
    fn wake(&self, asleep: u32) {
        let mark = asleep & TIMED_PARK;
        let (awake, seq) = match who(asleep) {
            BACKGROUND_ASLEEP => (mark | BACKGROUND_AWAKE, BACKGROUND_SEQ),
            LEADER_ASLEEP => (mark | LEADER_AWAKE, FOREGROUND_SEQ),
            // A stray write. The sleeping threads check, and repair the state when they sleep
            // again.
            _ => {
                if self.state().replace(asleep, BACKGROUND_AWAKE).is_ok() {
                    self.notify_all();
                }
                return;
            }
        };
        match self.state().replace(asleep, awake) {
            Ok(()) => self.bump(seq),
            // A timed park has begun or ended, and the thread of before still sleeps.
            Err(now) if now ^ asleep == TIMED_PARK => self.wake(now),
            Err(_) => {}
        }
    }

    /// Changes the state in one step, always with a write. Returns the state before.
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

/// The right and duty of the leader, a foreground caller, to answer the driver's doorbell. It ends
/// with [`leave`](Leader::leave). A mere drop wakes the background thread, which is correct but
/// costs a system call.
#[must_use = "the leader must poll the rings"]
#[derive(Debug)]
pub struct Leader<'a, M: Memory = Region> {
    doorbell: &'a DriverDoorbell<M>,
}

impl<M: Memory> Leader<'_, M> {
    /// Sleeps until a notification or the timeout, unless `has_work` returns `true`. `has_work`
    /// must check all rings and the caller's own condition.
    ///
    /// May return early, so the caller checks again in any case.
    pub fn sleep(&mut self, timeout: Option<Duration>, has_work: impl FnOnce() -> bool) {
        let doorbell = self.doorbell;
        let seq = doorbell.memory.futex(FOREGROUND_SEQ).load(Acquire);
        doorbell.change(|state| state & TIMED_PARK | LEADER_ASLEEP);
        M::fence();
        if !has_work() {
            doorbell.memory.futex(FOREGROUND_SEQ).wait(seq, timeout);
        }
        // This is no single attempt, since a timed park may begin or end at any time.
        doorbell.change(|state| match who(state) {
            LEADER_ASLEEP => state & TIMED_PARK | LEADER_AWAKE,
            _ => state,
        });
    }

    /// Gives the rings back to the background thread. In a timed park of that thread, this makes no
    /// further check. Otherwise it wakes the thread only if `has_work` reports data in the rings.
    /// Returns whether `has_work` was called.
    pub fn leave(self, has_work: impl FnOnce() -> bool) -> bool {
        let doorbell = self.doorbell;
        std::mem::forget(self);
        doorbell.led.store(0, Release);
        if doorbell.state().load(Relaxed) & TIMED_PARK != 0 {
            M::fence();
            if doorbell.state().load(Relaxed) & TIMED_PARK != 0 {
                return false;
            }
        }
        // The write to the state needs no fence before it. A timed park that ends before the write
        // leaves the state to it, or sees that nobody leads, takes the state over and looks. One
        // that ends after the write finds what it wrote.
        doorbell.hand_back();
        M::fence();
        if has_work() {
            doorbell.notify_background();
        }
        true
    }
}

impl<M: Memory> DriverDoorbell<M> {
    /// Leaves the answers to the background thread from now on, unless another leader sleeps
    /// meanwhile.
    fn hand_back(&self) {
        self.change(|state| match who(state) {
            LEADER_AWAKE => state & TIMED_PARK | BACKGROUND_ASLEEP,
            _ => state,
        });
    }
}

impl<M: Memory> Drop for Leader<'_, M> {
    fn drop(&mut self) {
        self.doorbell.led.store(0, Release);
        M::fence();
        self.doorbell.hand_back();
        self.doorbell.notify_background();
    }
}
