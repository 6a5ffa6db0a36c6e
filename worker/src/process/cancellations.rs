//! The cancelled runs of a worker: runs that nobody waits for any more. A list of them, and the
//! wakers of runs that sleep.

use std::{
    cell::Cell,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Waker,
};

use mobula_protocol::Attempt;
use parking_lot::Mutex;

/// No run.
const NONE: u64 = u64::MAX;

thread_local! {
    static RUN: Cell<u64> = const { Cell::new(NONE) };
}

/// Returns the run that this thread is in.
pub(super) fn this_run() -> Option<Attempt> {
    Some(RUN.get()).filter(|run| *run != NONE).map(Attempt)
}

/// Whether anything was ever cancelled in this process.
static EVER: AtomicBool = AtomicBool::new(false);

/// Returns whether anything was ever cancelled in this process.
#[inline]
pub(super) fn ever() -> bool {
    EVER.load(Ordering::SeqCst)
}

/// The cancelled runs of a worker.
#[derive(Debug)]
pub(crate) struct Cancellations {
    /// Whether the list of cancelled runs has an element.
    any: AtomicBool,
    /// The latest run that has begun, plus 1. Runs begin in the order of their numbers.
    begun: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Cancelled runs, each with whether the calls that it has made are cancelled too. Some runs
    /// may have ended.
    cancelled: Vec<(Attempt, bool)>,
    /// The run that each thread is in.
    threads: Vec<Weak<AtomicU64>>,
    /// Runs that sleep, with their wakers.
    asleep: Vec<(Attempt, Waker)>,
}

impl Default for Cancellations {
    fn default() -> Cancellations {
        Cancellations {
            any: AtomicBool::new(false),
            begun: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }
}

/// A thread that runs one task after the other.
#[derive(Debug)]
pub(super) struct Runner(Arc<AtomicU64>);

impl Cancellations {
    /// Adds a thread.
    pub(super) fn runner(&self) -> Runner {
        let run = Arc::new(AtomicU64::new(NONE));
        let mut state = self.state.lock();
        state.threads.retain(|thread| thread.strong_count() > 0);
        state.threads.push(Arc::downgrade(&run));
        Runner(run)
    }

    /// Notes that the thread begins a run. To be called in the order of the runs' numbers.
    #[inline]
    pub(super) fn begin(&self, runner: &Runner, run: Attempt) {
        runner.0.store(run.0, Ordering::Relaxed);
        // A thread that sees this sees the runner in the run, or after it.
        self.begun.store(run.0 + 1, Ordering::Release);
        RUN.set(run.0);
    }

    /// Notes that the thread has ended its run.
    #[inline]
    pub(super) fn end(&self, runner: &Runner) {
        RUN.set(NONE);
        runner.0.store(NONE, Ordering::Release);
    }

    /// Cancels a run, which nobody waits for any more. `calls`: nobody waits for the calls that it
    /// has made either.
    pub(super) fn cancel(&self, run: Attempt, calls: bool) {
        let mut state = self.state.lock();
        state.forget_ended(self.begun.load(Ordering::Acquire));
        state.cancelled.push((run, calls));
        self.any.store(true, Ordering::SeqCst);
        EVER.store(true, Ordering::SeqCst);
        let woken = state.asleep.extract_if(.., |(asleep, _)| *asleep == run);
        let wakers: Vec<Waker> = woken.map(|(_, waker)| waker).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Cancels all runs that threads are in at the moment, with their calls.
    pub(super) fn cancel_all(&self) {
        let state = self.state.lock();
        let threads = state.threads.iter().filter_map(Weak::upgrade);
        let runs = threads.map(|thread| thread.load(Ordering::Acquire));
        let runs: Vec<u64> = runs.filter(|run| *run != NONE).collect();
        drop(state);
        for run in runs {
            self.cancel(Attempt(run), true);
        }
    }

    /// Whether this run is cancelled. `within`: the question is about a call that the run makes
    /// within itself.
    #[inline]
    pub(super) fn has(&self, run: Attempt, within: bool) -> bool {
        self.any.load(Ordering::SeqCst) && self.looks_for(run, within)
    }

    #[cold]
    fn looks_for(&self, run: Attempt, within: bool) -> bool {
        let mut state = self.state.lock();
        state.forget_ended(self.begun.load(Ordering::Acquire));
        if state.cancelled.is_empty() {
            self.any.store(false, Ordering::SeqCst);
        }
        state.is_cancelled(run, within)
    }

    /// Leaves a waker for when the run is cancelled, in the place of an earlier waker. Returns
    /// `false`, and leaves none, if the run is cancelled already.
    pub(super) fn subscribe(&self, run: Attempt, within: bool, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        if state.is_cancelled(run, within) {
            return false;
        }
        let asleep = state.asleep.iter_mut().find(|(asleep, _)| *asleep == run);
        let before = match asleep {
            Some((_, old)) => Some(std::mem::replace(old, waker.clone())),
            None => {
                state.asleep.push((run, waker.clone()));
                None
            }
        };
        drop(state);
        drop(before);
        true
    }

    pub(super) fn unsubscribe(&self, run: Attempt) {
        let mut state = self.state.lock();
        let at = state.asleep.iter().position(|(asleep, _)| *asleep == run);
        let gone = at.map(|at| state.asleep.swap_remove(at));
        drop(state);
        drop(gone);
    }
}

impl State {
    fn is_cancelled(&self, run: Attempt, within: bool) -> bool {
        let mut cancelled = self.cancelled.iter();
        cancelled.any(|(cancelled, calls)| *cancelled == run && (*calls || !within))
    }

    /// Forgets cancelled runs that have begun and that no thread is in.
    fn forget_ended(&mut self, begun: u64) {
        let threads = &self.threads;
        let is_run = |run: &Attempt| {
            let mut threads = threads.iter().filter_map(Weak::upgrade);
            threads.any(|thread| thread.load(Ordering::Acquire) == run.0)
        };
        self.cancelled
            .retain(|(run, _)| run.0 >= begun || is_run(run));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::{sync::atomic::AtomicUsize, task::Wake, thread};

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn known(cancellations: &Cancellations) -> usize {
        cancellations.state.lock().cancelled.len()
    }

    #[test]
    fn a_run_that_is_cancelled_before_it_begins_knows_it_and_is_forgotten_after_its_end() {
        let cancellations = Cancellations::default();
        let runner = cancellations.runner();
        cancellations.begin(&runner, Attempt(0));
        cancellations.cancel(Attempt(2), true);
        assert!(!cancellations.has(Attempt(0), false));
        cancellations.end(&runner);
        cancellations.begin(&runner, Attempt(1));
        assert!(!cancellations.has(Attempt(1), false));
        cancellations.end(&runner);
        cancellations.begin(&runner, Attempt(2));
        assert!(cancellations.has(Attempt(2), false));
        cancellations.end(&runner);
        cancellations.begin(&runner, Attempt(3));
        assert!(!cancellations.has(Attempt(3), false));
        assert_eq!(known(&cancellations), 0);
        assert!(!cancellations.any.load(Ordering::SeqCst));
    }

    #[test]
    fn a_run_that_has_ended_when_it_is_cancelled_is_not_remembered() {
        let cancellations = Cancellations::default();
        let runner = cancellations.runner();
        for run in 0..100 {
            cancellations.begin(&runner, Attempt(run));
            cancellations.end(&runner);
            cancellations.cancel(Attempt(run), true);
            assert!(known(&cancellations) <= 1);
        }
        // The run of another thread, which has gone since.
        let other = cancellations.runner();
        cancellations.begin(&other, Attempt(100));
        drop(other);
        cancellations.cancel(Attempt(100), true);
        cancellations.begin(&runner, Attempt(101));
        assert!(!cancellations.has(Attempt(101), false));
        assert_eq!(known(&cancellations), 0);
    }

    #[test]
    fn a_call_within_a_run_is_cancelled_with_the_calls_of_the_run_only() {
        let cancellations = Cancellations::default();
        let runner = cancellations.runner();
        cancellations.begin(&runner, Attempt(0));
        cancellations.cancel(Attempt(0), false);
        assert!(cancellations.has(Attempt(0), false));
        assert!(!cancellations.has(Attempt(0), true));
        cancellations.cancel(Attempt(0), true);
        assert!(cancellations.has(Attempt(0), true));
    }

    #[test]
    fn who_sleeps_is_woken_once_and_who_comes_too_late_does_not_sleep() {
        let cancellations = Cancellations::default();
        let runner = cancellations.runner();
        cancellations.begin(&runner, Attempt(0));
        let counts = [0, 1].map(|_| Arc::new(Count(AtomicUsize::new(0))));
        let wakers = counts.each_ref().map(|count| Waker::from(count.clone()));
        // The second waker takes the place of the first.
        assert!(cancellations.subscribe(Attempt(0), false, &wakers[0]));
        assert!(cancellations.subscribe(Attempt(0), false, &wakers[1]));
        cancellations.cancel(Attempt(0), true);
        let woken = counts.map(|count| count.0.load(Ordering::SeqCst));
        assert_eq!(woken, [0, 1]);
        assert!(!cancellations.subscribe(Attempt(0), false, &wakers[0]));
        assert!(cancellations.state.lock().asleep.is_empty());
        cancellations.unsubscribe(Attempt(0));
    }

    #[test]
    fn no_cancellation_is_lost_between_a_look_and_a_sleep() {
        for _ in 0..2000 {
            let cancellations = Arc::new(Cancellations::default());
            let (ready, begun) = std::sync::mpsc::channel();
            let sleeper = {
                let cancellations = cancellations.clone();
                thread::spawn(move || {
                    let runner = cancellations.runner();
                    cancellations.begin(&runner, Attempt(0));
                    ready.send(()).unwrap();
                    let waker = mobula_protocol::current_thread_waker();
                    while !cancellations.has(Attempt(0), false) {
                        if cancellations.subscribe(Attempt(0), false, &waker) {
                            thread::park();
                        }
                    }
                    cancellations.end(&runner);
                })
            };
            begun.recv().unwrap();
            cancellations.cancel(Attempt(0), true);
            sleeper.join().unwrap();
        }
    }
}
