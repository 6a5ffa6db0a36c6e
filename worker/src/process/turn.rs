//! Whose turn it is: at most one task of a worker runs at any moment; of an actor as many as it was
//! told.
//!
//! Users count on processes for libraries that do not bear threads. So a task that waits for an
//! object gives up its turn to the next one, and takes it back before it goes on; those that go on
//! come before those that begin.

use parking_lot::{Condvar, Mutex, MutexGuard};

/// The right to run task code.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// How many have it.
    taken: usize,
    /// How many may.
    most: usize,
    /// Tasks that want to go on.
    resuming: usize,
    /// Threads that sleep on `changed`.
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

impl Turn {
    /// From now on so many may have it at a time.
    pub(crate) fn set_most(&self, most: usize) {
        self.state.lock().most = most.max(1);
        self.changed.notify_all();
    }

    /// Waits for the turn, to begin a task. Says how many may have it at a time.
    pub(crate) fn begin(&self) -> usize {
        let mut state = self.state.lock();
        self.take(&mut state, |state| state.resuming == 0);
        state.most
    }

    /// Waits for the turn, to go on with a task that gave it up.
    pub(crate) fn resume(&self) {
        let mut state = self.state.lock();
        state.resuming += 1;
        self.take(&mut state, |_| true);
        state.resuming -= 1;
        if state.resuming == 0 && state.sleepers > 0 && state.taken < state.most {
            // Those that begin have let this one go first.
            self.changed.notify_all();
        }
    }

    fn take(&self, state: &mut MutexGuard<'_, State>, may: impl Fn(&State) -> bool) {
        while state.taken >= state.most || !may(state) {
            state.sleepers += 1;
            self.changed.wait(state);
            state.sleepers -= 1;
        }
        state.taken += 1;
    }

    /// Whether nobody has it.
    pub(crate) fn is_free(&self) -> bool {
        self.state.lock().taken == 0
    }

    /// Gives the turn up.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock();
        state.taken -= 1;
        if state.sleepers > 0 {
            // All of them, since one that may not begin yet must not swallow the only wake-up.
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    #[test]
    fn one_at_a_time_and_nobody_is_forgotten() {
        let turn = Arc::new(Turn::default());
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
        let state = turn.state.lock();
        assert!(state.taken == 0 && state.resuming == 0 && state.sleepers == 0);
    }

    #[test]
    fn who_begins_is_not_forgotten_when_another_goes_on() {
        use std::{
            sync::{Barrier, mpsc},
            time::Duration,
        };

        let turn = Arc::new(Turn::default());
        turn.set_most(2);
        let asleep = |n| {
            while turn.state.lock().sleepers != n {
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
