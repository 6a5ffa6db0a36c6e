//! Who waits where in this process, as plain data.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Waker,
    time::{Duration, Instant},
};

use super::place::Place;
use crate::primitive::Memory;

/// Futures that wait, the queues where they wait, and the threads that sleep there for them.
pub(super) struct State<M: Memory> {
    /// By number. Those that came first have the lowest.
    pub(super) futures: BTreeMap<u64, Waiter<M>>,
    /// By the address of the queue's futex.
    pub(super) lines: BTreeMap<usize, Line<M>>,
    pub(super) threads: BTreeMap<u64, Thread<M>>,
    pub(super) next: u64,
}

/// A future that waits.
pub(super) struct Waiter<M: Memory> {
    pub(super) place: Place<M>,
    pub(super) stage: Stage,
    /// How long it has to look, once it is woken.
    pub(super) time: Duration,
}

pub(super) enum Stage {
    /// It is in the line of its place.
    Waiting(Option<Waker>),
    /// It has been woken, and is to look until then. Later the thread passes on what it was woken
    /// for.
    Woken { thread: u64, until: Instant },
    /// It did not look in time.
    Passed,
}

/// The futures that wait at one queue.
pub(super) struct Line<M: Memory> {
    /// The queue; what it announced is that of some future.
    pub(super) place: Place<M>,
    /// What the sequence was when none of them had missed anything.
    pub(super) seq: u32,
    pub(super) futures: BTreeSet<u64>,
    /// Who sleeps there.
    pub(super) thread: u64,
}

/// A thread that sleeps for futures.
pub(super) struct Thread<M: Memory> {
    /// Ends its sleep, so that it looks at its lines again.
    pub(super) bell: Arc<M::Futex>,
    /// The lines, in the order in which they began.
    pub(super) lines: Vec<usize>,
    /// The futures that it has woken and that have not looked yet, by the end of their time.
    pub(super) woken: BTreeSet<(Instant, u64)>,
}

/// What is to be done without the lock.
pub(super) struct Deeds<M: Memory> {
    pub(super) wake: Vec<Waker>,
    /// These did not look in time.
    pub(super) pass: Vec<Place<M>>,
    /// Nobody waits there.
    pub(super) pass_for_nobody: Vec<Place<M>>,
}

impl<M: Memory> State<M> {
    /// Takes `thread`'s share of what has happened: the sequences of its lines, as they are now.
    pub(super) fn look(&mut self, thread: u64, found: &[(usize, u32)], now: Instant) -> Deeds<M> {
        let mut deeds = Deeds {
            wake: Vec::new(),
            pass: Vec::new(),
            pass_for_nobody: Vec::new(),
        };
        for (at, seq) in found {
            self.deliver(*at, *seq, now, &mut deeds);
        }
        let Some(thread) = self.threads.get_mut(&thread) else {
            return deeds;
        };
        while let Some(&(until, number)) = thread.woken.first()
            // In models there is no time, and it is always over.
            && (cfg!(loom) || until <= now)
        {
            thread.woken.pop_first();
            if let Some(future) = self.futures.get_mut(&number) {
                future.stage = Stage::Passed;
                deeds.pass.push(future.place.clone());
            }
        }
        deeds
    }

    /// Wakes those for whom the sequence has grown. Forgets a line without anybody: only now, since
    /// until then the thread slept there and others were not woken in its place.
    fn deliver(&mut self, at: usize, seq: u32, now: Instant, deeds: &mut Deeds<M>) {
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
                deeds.wake.extend(wake(
                    &mut self.futures,
                    &mut self.threads,
                    (number, line.thread),
                    now,
                ));
            }
            if count == 0 {
                deeds.pass_for_nobody.push(line.place.clone());
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

    /// All look, though nothing has happened.
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

/// A future that was taken out of its line is to look.
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

/// Wakes the task of a future. A waker is the code of others, and its panic theirs.
pub(super) fn wake_task(waker: Waker) {
    let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
}
