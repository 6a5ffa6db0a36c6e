//! The turn: the right to run task code. At most one task of a worker has it at any moment. An
//! actor sets how many of its tasks have it at a time.
//!
//! Users rely on processes for libraries that are not thread-safe. So a task that sleeps gives up
//! its turn to the next task, and takes the turn back before it goes on. Tasks that go on come
//! before tasks that begin. A task runs no user code while it has given up its turn: it only
//! sleeps. [`Paused`](super::worker::Paused) takes the turn back however the sleep ends.

use parking_lot::{Condvar, Mutex};

/// A value behind a lock. Threads sleep until it changes. The loom models have an implementation of
/// their own.
pub(crate) trait Monitor<T> {
    /// Calls `f` under the lock until `f` returns a result. Sleeps until
    /// [`wake_all`](Monitor::wake_all) between two calls.
    fn until<R>(&self, f: impl FnMut(&mut T) -> Option<R>) -> R;

    /// Wakes all sleepers. `f` may call this.
    fn wake_all(&self);
}

/// The monitor of a worker.
#[derive(Debug, Default)]
pub(crate) struct Locked<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Monitor<T> for Locked<T> {
    fn until<R>(&self, mut f: impl FnMut(&mut T) -> Option<R>) -> R {
        let mut value = self.value.lock();
        loop {
            match f(&mut value) {
                Some(result) => return result,
                None => self.changed.wait(&mut value),
            }
        }
    }

    fn wake_all(&self) {
        self.changed.notify_all();
    }
}

/// The right to run task code.
#[derive(Debug, Default)]
pub(crate) struct Turn<M = Locked<State>> {
    state: M,
}

#[derive(Debug)]
pub(crate) struct State {
    /// How many tasks have the turn.
    taken: usize,
    /// How many tasks may have the turn at a time.
    most: usize,
    /// How many tasks want to go on.
    resuming: usize,
    /// How many threads sleep until the state changes.
    sleepers: usize,
}

impl Default for State {
    fn default() -> State {
        State {
            taken: 0,
            most: 1,
            resuming: 0,
            sleepers: 0,
        }
    }
}

impl State {
    /// Takes the turn if the caller `may` and a turn is free. Otherwise counts the caller among the
    /// sleepers. Returns whether the caller has the turn.
    fn take(&mut self, slept: &mut bool, may: bool) -> bool {
        self.sleepers -= usize::from(*slept);
        let taken = may && self.taken < self.most;
        *slept = !taken;
        match taken {
            true => self.taken += 1,
            false => self.sleepers += 1,
        }
        taken
    }
}

impl<M: Monitor<State>> Turn<M> {
    /// Lets `most` tasks have the turn at a time from now on, or one task if `most` is 0.
    pub(crate) fn set_most(&self, most: usize) {
        self.state.until(|state| {
            state.most = most.max(1);
            self.state.wake_all();
            Some(())
        });
    }

    /// Blocks until a task may begin, and takes the turn. Returns how many tasks may have the turn
    /// at a time.
    pub(crate) fn begin(&self) -> usize {
        let mut slept = false;
        self.state.until(|state| {
            let may = state.resuming == 0;
            state.take(&mut slept, may).then_some(state.most)
        })
    }

    /// Takes the turn to go on with a task that gave it up, if that needs no waiting. Returns
    /// whether it did.
    pub(crate) fn try_resume(&self) -> bool {
        self.state.until(|state| {
            let free = state.taken < state.most;
            state.taken += usize::from(free);
            Some(free)
        })
    }

    /// Blocks until a task that gave up its turn may go on, and takes the turn.
    pub(crate) fn resume(&self) {
        let (mut counted, mut slept) = (false, false);
        self.state.until(|state| {
            state.resuming += usize::from(!counted);
            counted = true;
            if !state.take(&mut slept, true) {
                return None;
            }
            state.resuming -= 1;
            if state.resuming == 0 && state.sleepers > 0 && state.taken < state.most {
                // Tasks that begin have let this task go first. They may begin now.
                self.state.wake_all();
            }
            Some(())
        });
    }

    /// Whether a task waits for the turn to go on.
    pub(crate) fn is_wanted(&self) -> bool {
        self.state.until(|state| Some(state.resuming > 0))
    }

    /// Whether no task has the turn.
    pub(crate) fn is_free(&self) -> bool {
        self.state.until(|state| Some(state.taken == 0))
    }

    /// Gives the turn up.
    ///
    /// # Panics
    /// No task has the turn.
    pub(crate) fn end(&self) {
        self.state.until(|state| {
            assert!(state.taken > 0, "a turn that nobody has was given up");
            state.taken -= 1;
            if state.sleepers > 0 {
                // Wakes all sleepers. A thread that may not begin yet could take the only wake-up
                // otherwise.
                self.state.wake_all();
            }
            Some(())
        });
    }
}

#[cfg(all(test, loom))]
mod models {
    use std::sync::PoisonError;

    use loom::{
        model::Builder,
        sync::{
            Arc, Condvar, Mutex,
            atomic::{AtomicUsize, Ordering::Relaxed},
        },
        thread,
    };

    use super::*;

    #[derive(Default)]
    struct Model {
        value: Mutex<State>,
        changed: Condvar,
    }

    impl Monitor<State> for Model {
        fn until<R>(&self, mut f: impl FnMut(&mut State) -> Option<R>) -> R {
            let mut value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                if let Some(result) = f(&mut value) {
                    return result;
                }
                value = self.changed.wait(value).unwrap();
            }
        }

        fn wake_all(&self) {
            self.changed.notify_all();
        }
    }

    struct Worker {
        turn: Turn<Model>,
        inside: AtomicUsize,
    }

    impl Worker {
        fn new(most: usize) -> Arc<Worker> {
            let worker = Worker {
                turn: Turn::default(),
                inside: AtomicUsize::new(0),
            };
            worker.turn.set_most(most);
            Arc::new(worker)
        }

        fn run(&self, most: usize) {
            assert!(self.inside.fetch_add(1, Relaxed) < most);
            self.inside.fetch_sub(1, Relaxed);
        }

        fn is_at_rest(&self) -> bool {
            let state = self.turn.state.value.lock().unwrap();
            (state.taken, state.resuming, state.sleepers) == (0, 0, 0)
        }
    }

    fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
        let mut builder = Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.check(model);
    }

    /// Two tasks begin, and sleep once in between. Neither task is left asleep.
    #[test]
    fn loom_tasks_that_begin_and_go_on_take_turns() {
        for most in [1, 2] {
            check(3, move || {
                let worker = Worker::new(most);
                let task = |tries: bool| {
                    let worker = worker.clone();
                    move || {
                        worker.turn.begin();
                        worker.run(most);
                        worker.turn.end();
                        if !(tries && worker.turn.try_resume()) {
                            worker.turn.resume();
                        }
                        worker.run(most);
                        worker.turn.end();
                    }
                };
                let others = [true, false].map(|tries| thread::spawn(task(tries)));
                for other in others {
                    other.join().unwrap();
                }
                assert!(worker.is_at_rest());
            });
        }
    }

    /// One task goes on and another task begins. Each needs a turn, and two turns are given up.
    #[test]
    fn loom_a_task_that_begins_is_woken_after_one_that_goes_on() {
        check(3, || {
            let worker = Worker::new(2);
            worker.turn.begin();
            worker.turn.begin();
            let other = {
                let worker = worker.clone();
                thread::spawn(move || {
                    worker.turn.resume();
                    worker.run(2);
                    // Keeps the turn: the task that begins gets the other turn.
                })
            };
            let begins = {
                let worker = worker.clone();
                thread::spawn(move || {
                    worker.turn.begin();
                    worker.run(2);
                })
            };
            worker.turn.end();
            worker.turn.end();
            other.join().unwrap();
            begins.join().unwrap();
        });
    }

    /// An actor gets room for a second task while a task waits for its turn.
    #[test]
    fn loom_room_for_more_is_noticed() {
        check(3, || {
            let worker = Worker::new(1);
            worker.turn.begin();
            let begins = {
                let worker = worker.clone();
                thread::spawn(move || {
                    worker.turn.begin();
                    worker.run(2);
                })
            };
            worker.turn.set_most(2);
            begins.join().unwrap();
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    #[test]
    fn one_at_a_time_and_nobody_is_forgotten() {
        let turn = Arc::new(Turn::<Locked<_>>::default());
        let inside = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let (turn, inside) = (turn.clone(), inside.clone());
                std::thread::spawn(move || {
                    for _ in 0..500 {
                        if n % 2 == 0 {
                            turn.begin();
                        } else {
                            turn.resume();
                        }
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        turn.end();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let state = turn.state.value.lock();
        assert!(state.taken == 0 && state.resuming == 0 && state.sleepers == 0);
    }

    #[test]
    #[should_panic(expected = "nobody has")]
    fn a_turn_that_nobody_has_cannot_be_given_up() {
        let turn = Turn::<Locked<_>>::default();
        assert!(turn.try_resume());
        turn.end();
        turn.end();
    }

    #[test]
    fn who_begins_is_not_forgotten_when_another_goes_on() {
        use std::{
            sync::{Barrier, mpsc},
            time::Duration,
        };

        let turn = Arc::new(Turn::<Locked<_>>::default());
        turn.set_most(2);
        let asleep = |n| {
            while turn.state.value.lock().sleepers != n {
                std::thread::yield_now();
            }
        };
        for _ in 0..200 {
            turn.begin();
            turn.begin();
            let (done, over) = mpsc::channel();
            let meet = Arc::new(Barrier::new(2));
            for (n, resumes) in [false, true].into_iter().enumerate() {
                let (turn, meet, done) = (turn.clone(), meet.clone(), done.clone());
                std::thread::spawn(move || {
                    match resumes {
                        true => turn.resume(),
                        false => drop(turn.begin()),
                    }
                    // There is room for both: neither may wait until the other one is done.
                    meet.wait();
                    turn.end();
                    let _ = done.send(());
                });
                asleep(n + 1);
            }
            turn.end();
            turn.end();
            for _ in 0..2 {
                let waited = over.recv_timeout(Duration::from_secs(30));
                waited.expect("a thread sleeps though there is room");
            }
        }
    }
}
