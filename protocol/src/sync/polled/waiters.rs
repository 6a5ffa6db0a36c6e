//! All futures of this process that wait for locks.

use std::{
    fmt, io,
    sync::Arc,
    task::Waker,
    time::{Duration, Instant},
};

use super::{
    place::Place,
    state::{Line, Stage, State, Thread, Waiter, wake_task},
};
use crate::primitive::{Futex, Lock, Memory};

/// The time that a future has for a check after its first wake-up. Then another waiter gets the
/// wake-up.
const FIRST: Duration = Duration::from_millis(1);

/// The number of times that this time is doubled, once after each late check. Otherwise a task of a
/// worker that is always busy would never get a lock that others always want.
const DOUBLINGS: u32 = 4;

/// A function that starts a thread.
type Start = Box<dyn Fn(Box<dyn FnOnce() + Send>) -> io::Result<()> + Send + Sync>;

/// All futures of this process that wait for locks, and the threads that sleep for them. One thread
/// sleeps for futures at up to 127 queues. More queues have more threads. Without `futex_waitv`
/// each queue has one. A thread ends after a second without a future.
pub struct Waiters<M: Memory> {
    state: <M::Futex as Futex>::Lock<State<M>>,
    /// The largest number of futexes on which a thread sleeps.
    pub(super) most: usize,
    start: Start,
}

/// The former state of a future that was taken out.
pub(super) enum Found {
    /// It was in this line.
    Waiting { line: usize },
    /// It was woken.
    Woken,
    /// It was woken, and then its wake-up was passed on.
    Passed,
}

impl<M: Memory> Waiters<M> {
    /// Returns a set without futures. `start` starts a thread.
    pub fn new(
        start: impl Fn(Box<dyn FnOnce() + Send>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Arc<Waiters<M>> {
        Waiters::with_most(<M::Futex as Futex>::most_at_once(), start)
    }

    /// Returns a set without futures, like `new`. Each thread sleeps on at most `most` futexes.
    pub(in super::super) fn with_most(
        most: usize,
        start: impl Fn(Box<dyn FnOnce() + Send>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Arc<Waiters<M>> {
        let state = State {
            futures: Default::default(),
            lines: Default::default(),
            threads: Default::default(),
            next: 0,
        };
        Arc::new(Waiters {
            state: Lock::new(state),
            most,
            start: Box::new(start),
        })
    }

    /// Calls `f` with the state, under the lock.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut State<M>) -> R) -> R {
        self.state.with(f)
    }

    /// Wakes all futures. They check their locks again.
    pub fn wake_all(&self) {
        let wakers = self.with(|state| state.wake_all(Instant::now()));
        wakers.into_iter().for_each(wake_task);
    }

    /// Returns a number that no other future has.
    pub(super) fn number(&self) -> u64 {
        self.with(|state| {
            state.next += 1;
            state.next
        })
    }

    /// Lists a future that waits at this place. It has announced that, after it had read `seq`
    /// there.
    ///
    /// # Errors
    /// Fails if there is no thread and none can be started. Then the future does not wait, and its
    /// announcement is withdrawn.
    pub(super) fn list(
        self: &Arc<Self>,
        number: u64,
        place: Place<M>,
        seq: u32,
        mut waker: Option<Waker>,
        missed: u32,
    ) -> io::Result<()> {
        let (at, undo) = (place.address(), place.clone());
        let notify = self.with(|state| {
            let thread = match state.lines.get_mut(&at) {
                Some(line) => {
                    line.futures.insert(number);
                    // An increment that this future has missed counts as missed by the line.
                    let older = seq.wrapping_sub(line.seq).cast_signed() < 0;
                    if older {
                        line.seq = seq;
                    }
                    older.then_some(line.thread)
                }
                None => {
                    let (thread, sleeps) = self.thread(state)?;
                    let line = Line {
                        place: place.clone(),
                        seq,
                        futures: [number].into(),
                        thread,
                    };
                    state.lines.insert(at, line);
                    if let Some(thread) = state.threads.get_mut(&thread) {
                        thread.lines.push(at);
                    }
                    sleeps.then_some(thread)
                }
            };
            let future = Waiter {
                place,
                stage: Stage::Waiting(waker.take()),
                time: FIRST * (1 << missed.min(DOUBLINGS)),
            };
            state.futures.insert(number, future);
            Ok(thread.map(|thread| self.doorbell(state, thread)))
        });
        match notify {
            Ok(notify) => {
                if let Some(notify) = notify {
                    notify();
                }
                Ok(())
            }
            Err(error) => {
                undo.pass(true);
                Err(error)
            }
        }
    }

    /// Returns a thread that can sleep at one more queue, and whether it may sleep already.
    fn thread(self: &Arc<Self>, state: &mut State<M>) -> io::Result<(u64, bool)> {
        // The doorbell takes one place.
        let most = self.most.saturating_sub(1).max(1);
        let mut free = state.threads.iter();
        if let Some((thread, _)) = free.find(|(_, thread)| thread.lines.len() < most) {
            return Ok((*thread, true));
        }
        state.next += 1;
        let number = state.next;
        let waiters = self.clone();
        (self.start)(Box::new(move || waiters.serve(number)))?;
        let thread = Thread {
            doorbell: Arc::default(),
            lines: Vec::new(),
            woken: Default::default(),
        };
        state.threads.insert(number, thread);
        Ok((number, false))
    }

    /// Returns a function that ends the sleep of a thread.
    fn doorbell(&self, state: &State<M>, thread: u64) -> impl FnOnce() + use<M> {
        let thread = state.threads.get(&thread);
        let doorbell = thread.map(|thread| thread.doorbell.clone());
        // A thread that sleeps on one futex does not notice its doorbell while it sleeps at a
        // queue.
        let queue = thread
            .filter(|_| self.most == 1)
            .and_then(|thread| state.lines.get(thread.lines.first()?))
            .map(|line| line.place.clone());
        move || {
            if let Some(doorbell) = doorbell {
                doorbell.increment();
                doorbell.wake();
            }
            if let Some(queue) = queue {
                queue.alarm();
            }
        }
    }

    /// Removes the future from its line, and returns its former state.
    pub(super) fn take_out(&self, number: u64) -> Found {
        // The removed entry is dropped outside the lock, since its waker is foreign code.
        let (found, _future) = self.with(|state| take_out(state, number));
        found
    }

    /// Removes a future that is gone, and acts for it.
    pub(super) fn give_up(&self, number: u64) {
        let (found, future) = self.with(|state| take_out(state, number));
        let Some(future) = future else { return };
        match found {
            Found::Waiting { line } => {
                future.place.pass(false);
                self.has_left(line);
            }
            Found::Woken => future.place.pass(true),
            Found::Passed => {}
        }
    }

    /// Wakes the thread of a line without futures, so it sleeps there no longer.
    pub(super) fn has_left(&self, line: usize) {
        let notify = self.with(|state| {
            let line = state.lines.get(&line)?;
            let empty = line.futures.is_empty();
            empty.then(|| self.doorbell(state, line.thread))
        });
        if let Some(notify) = notify {
            notify();
        }
    }

    /// Ends the threads. In models no thread is idle for a time.
    #[cfg(all(test, loom))]
    pub(in super::super) fn stop(&self) {
        let threads = self.with(|state| std::mem::take(&mut state.threads));
        for thread in threads.values() {
            thread.doorbell.increment();
            thread.doorbell.wake();
        }
    }

    /// Returns the number of waiting futures and of threads that sleep for them.
    #[cfg(test)]
    pub(in super::super) fn count(&self) -> (usize, usize) {
        self.with(|state| (state.futures.len(), state.threads.len()))
    }
}

fn take_out<M: Memory>(state: &mut State<M>, number: u64) -> (Found, Option<Waiter<M>>) {
    let Some(future) = state.futures.remove(&number) else {
        return (Found::Passed, None);
    };
    let found = match future.stage {
        Stage::Waiting(_) => {
            let line = future.place.address();
            if let Some(line) = state.lines.get_mut(&line) {
                line.futures.remove(&number);
            }
            Found::Waiting { line }
        }
        Stage::Woken { thread, until } => {
            if let Some(thread) = state.threads.get_mut(&thread) {
                thread.woken.remove(&(until, number));
            }
            Found::Woken
        }
        Stage::Passed => Found::Passed,
    };
    (found, Some(future))
}

impl<M: Memory> fmt::Debug for Waiters<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiters").finish_non_exhaustive()
    }
}
