//! The waiting futures of this process and their places, as plain data.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Waker,
    time::{Duration, Instant},
};

use super::place::Place;
use crate::primitive::Memory;

/// Waiting futures, the queues where they wait, and the threads that sleep there for them.
pub(super) struct State<M: Memory> {
    /// The futures by number. Earlier futures have lower numbers.
    pub(super) futures: BTreeMap<u64, Waiter<M>>,
    /// The lines by the address of the queue's futex.
    pub(super) lines: BTreeMap<usize, Line<M>>,
    pub(super) threads: BTreeMap<u64, Thread<M>>,
    pub(super) next: u64,
}

/// A waiting future.
pub(super) struct Waiter<M: Memory> {
    pub(super) place: Place<M>,
    pub(super) stage: Stage,
    /// The time that it has for a check after it is woken.
    pub(super) time: Duration,
}

pub(super) enum Stage {
    /// It is in the line of its place.
    Waiting(Option<Waker>),
    /// It has been woken, and should check the lock before `until`. Later the thread passes its
    /// wake-up on.
    Woken { thread: u64, until: Instant },
    /// It did not check in time.
    Passed,
}

/// The futures that wait at one queue.
pub(super) struct Line<M: Memory> {
    /// The queue. Its announcements are those of one of the futures.
    pub(super) place: Place<M>,
    /// The sequence at a time when none of the futures had missed an increment.
    pub(super) seq: u32,
    pub(super) futures: BTreeSet<u64>,
    /// The thread that sleeps there.
    pub(super) thread: u64,
}

/// A thread that sleeps for futures.
pub(super) struct Thread<M: Memory> {
    /// The doorbell that ends its sleep. Then it checks its lines again.
    pub(super) doorbell: Arc<M::Futex>,
    /// The lines, in the order in which they began.
    pub(super) lines: Vec<usize>,
    /// The futures that it has woken and that have not checked yet, by the end of their time.
    pub(super) woken: BTreeSet<(Instant, u64)>,
}

/// The actions that follow without the lock.
pub(super) struct FollowUp<M: Memory> {
    pub(super) wake: Vec<Waker>,
    /// The places of futures that did not check in time.
    pub(super) pass: Vec<Place<M>>,
    /// The places where no future waits.
    pub(super) pass_for_nobody: Vec<Place<M>>,
}

impl<M: Memory> State<M> {
    /// Handles the growth of the sequences of `thread`'s lines. `found` has the sequences of now.
    /// Also marks the woken futures whose time is over.
    pub(super) fn look(
        &mut self,
        thread: u64,
        found: &[(usize, u32)],
        now: Instant,
    ) -> FollowUp<M> {
        let mut follow_up = FollowUp {
            wake: Vec::new(),
            pass: Vec::new(),
            pass_for_nobody: Vec::new(),
        };
        for (at, seq) in found {
            self.deliver(*at, *seq, now, &mut follow_up);
        }
        let Some(thread) = self.threads.get_mut(&thread) else {
            return follow_up;
        };
        while let Some(&(until, number)) = thread.woken.first()
            // Models have no time, so it is always over there.
            && (cfg!(loom) || until <= now)
        {
            thread.woken.pop_first();
            if let Some(future) = self.futures.get_mut(&number) {
                future.stage = Stage::Passed;
                follow_up.pass.push(future.place.clone());
            }
        }
        follow_up
    }

    /// Wakes the futures for which the sequence has grown. Removes a line without a future. It does
    /// so only now, since until now the thread slept there and may have been woken in place of
    /// another process.
    fn deliver(&mut self, at: usize, seq: u32, now: Instant, follow_up: &mut FollowUp<M>) {
        let Some(line) = self.lines.get_mut(&at) else {
            return;
        };
        let growth = seq.wrapping_sub(line.seq);
        line.seq = seq;
        if growth != 0 {
            let count = line.place.to_wake(growth).min(line.futures.len());
            for _ in 0..count {
                let Some(number) = line.futures.pop_first() else {
                    break;
                };
                follow_up.wake.extend(wake(
                    &mut self.futures,
                    &mut self.threads,
                    (number, line.thread),
                    now,
                ));
            }
            if count == 0 {
                follow_up.pass_for_nobody.push(line.place.clone());
            }
        }
        if line.futures.is_empty() {
            let thread = line.thread;
            self.lines.remove(&at);
            if let Some(thread) = self.threads.get_mut(&thread) {
                thread.lines.retain(|line| *line != at);
            }
        }
    }

    /// Wakes all futures. They check though nothing has happened.
    pub(super) fn wake_all(&mut self, now: Instant) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for line in self.lines.values_mut() {
            for number in std::mem::take(&mut line.futures) {
                let who = (number, line.thread);
                wakers.extend(wake(&mut self.futures, &mut self.threads, who, now));
            }
        }
        wakers
    }
}

/// Marks a future that was taken out of its line as woken, and returns its waker.
fn wake<M: Memory>(
    futures: &mut BTreeMap<u64, Waiter<M>>,
    threads: &mut BTreeMap<u64, Thread<M>>,
    (number, thread): (u64, u64),
    now: Instant,
) -> Option<Waker> {
    let future = futures.get_mut(&number)?;
    let until = now + future.time;
    let woken = Stage::Woken { thread, until };
    if let Some(thread) = threads.get_mut(&thread) {
        thread.woken.insert((until, number));
    }
    match std::mem::replace(&mut future.stage, woken) {
        Stage::Waiting(waker) => waker,
        Stage::Woken { .. } | Stage::Passed => None,
    }
}

/// Wakes the task of a future. A waker is foreign code, so its panic is ignored.
pub(super) fn wake_task(waker: Waker) {
    let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
}
