//! Whose turn it is: at most one task of a worker runs at any moment; of an actor as many as it was
//! told.
//!
//! Users count on processes for libraries that do not bear threads. So a task that waits for an
//! object gives up its turn to the next one, and takes it back before it goes on; those that go on
//! come before those that begin.

use parking_lot::{Condvar, Mutex};

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
        self.take(|state| state.resuming == 0)
    }

    /// Waits for the turn, to go on with a task that gave it up.
    pub(crate) fn resume(&self) {
        self.state.lock().resuming += 1;
        self.take(|_| true);
        let mut state = self.state.lock();
        state.resuming -= 1;
    }

    fn take(&self, may: impl Fn(&State) -> bool) -> usize {
        let mut state = self.state.lock();
        while state.taken >= state.most || !may(&state) {
            state.sleepers += 1;
            self.changed.wait(&mut state);
            state.sleepers -= 1;
        }
        state.taken += 1;
        state.most
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
}
