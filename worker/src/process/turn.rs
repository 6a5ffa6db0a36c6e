//! Whose turn it is: at most one task of a worker runs at any moment; of an actor as many as it was
//! told.
//!
//! Users count on processes for libraries that do not bear threads. So a task that sleeps gives up
//! its turn to the next one, and takes it back before it goes on; tasks that go on come before
//! those that begin. No user code runs between the two: the turn is given up around a sleep and
//! nothing else, and [`Paused`](super::worker::Paused) takes it back however the sleep ends.

use parking_lot::{Condvar, Mutex};

/// A value behind a lock, on whose changes threads sleep. The models have one of loom's.
pub(crate) trait Monitor<T> {
    /// Calls `f` under the lock until it returns a result. Sleeps until
    /// [`wake_all`](Monitor::wake_all) in between.
    fn until<R>(&self, f: impl FnMut(&mut T) -> Option<R>) -> R;

    /// Wakes all sleepers. May be called by `f`.
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
    /// How many have it.
    taken: usize,
    /// How many may.
    most: usize,
    /// Tasks that want to go on.
    resuming: usize,
    /// Threads that sleep until the state changes.
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
    /// Takes it, or counts the caller among the sleepers.
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
    /// From now on so many may have it at a time.
    pub(crate) fn set_most(&self, most: usize) {
        self.state.until(|state| {
            state.most = most.max(1);
            self.state.wake_all();
            Some(())
        });
    }

    /// Waits for the turn, to begin a task. Says how many may have it at a time.
    pub(crate) fn begin(&self) -> usize {
        let mut slept = false;
        self.state.until(|state| {
            let may = state.resuming == 0;
            state.take(&mut slept, may).then_some(state.most)
        })
    }

    /// Takes the turn to go on with a task that gave it up, if that needs no waiting.
    pub(crate) fn try_resume(&self) -> bool {
        self.state.until(|state| {
            let free = state.taken < state.most;
            state.taken += usize::from(free);
            Some(free)
        })
    }

    /// Waits for the turn, to go on with a task that gave it up.
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
                // Those that begin have let this one go first.
                self.state.wake_all();
            }
            Some(())
        });
    }

    /// Whether a task waits for it to go on.
    pub(crate) fn is_wanted(&self) -> bool {
        self.state.until(|state| Some(state.resuming > 0))
    }

    /// Whether nobody has it.
    pub(crate) fn is_free(&self) -> bool {
        self.state.until(|state| Some(state.taken == 0))
    }

    /// Gives the turn up.
    ///
    /// # Panics
    /// If nobody has it.
    pub(crate) fn end(&self) {
        self.state.until(|state| {
            assert!(state.taken > 0, "a turn that nobody has was given up");
            state.taken -= 1;
            if state.sleepers > 0 {
                // All of them, since one that may not begin yet must not swallow the only wake-up.
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

    /// Two tasks begin, and sleep once in between; none is left asleep.
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

    /// A task goes on, two begin, all need a turn that is given up once for each.
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
                    // Keeps it: the task that begins has the other turn.
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

    /// An actor gets room for a second task while one waits for its turn.
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
                    // There is room for both: none may wait until the other one is done.
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
