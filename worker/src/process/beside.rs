//! The state that only a worker in threads of a program has. It says which runs have the turn, and
//! counts the threads that keep the worker from its end.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use mobula_protocol::Attempt;
use parking_lot::Mutex;

/// See the module's text.
pub(super) struct Beside {
    /// Runs that have the turn.
    with_turn: Mutex<Vec<Attempt>>,
    /// How many threads may run code of the worker's tasks.
    threads: AtomicUsize,
    /// Whether nobody answers the worker any more.
    cut: Arc<AtomicBool>,
    /// Wakes the thread that waits for the worker's end.
    ring: Box<dyn Fn() + Send + Sync>,
}

impl Beside {
    pub(super) fn new(ring: impl Fn() + Send + Sync + 'static) -> Beside {
        Beside {
            with_turn: Mutex::default(),
            threads: AtomicUsize::new(0),
            cut: Arc::default(),
            ring: Box::new(ring),
        }
    }

    /// Notes that nobody answers the worker from now on.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        (self.ring)();
    }

    /// Returns the flag that [`cut`](Beside::cut) sets.
    pub(super) fn cut_flag(&self) -> Arc<AtomicBool> {
        self.cut.clone()
    }

    /// Whether any thread may run code of the worker's tasks.
    pub(super) fn has_threads(&self) -> bool {
        self.threads.load(Ordering::SeqCst) > 0
    }

    /// Whether nobody answers the worker any more.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    /// Notes that this run has the turn from now on.
    pub(super) fn has_turn(&self, run: Attempt) {
        self.with_turn.lock().push(run);
    }

    /// Notes that this run does not have the turn from now on. Returns `false` if the turn was
    /// taken away before.
    pub(super) fn gives_turn(&self, run: Attempt) -> bool {
        let mut runs = self.with_turn.lock();
        let at = runs.iter().position(|with| *with == run);
        at.map(|at| runs.swap_remove(at)).is_some()
    }

    /// Counts a thread that runs tasks, until the result is dropped.
    pub(super) fn thread(self: &Arc<Self>) -> InUse {
        self.threads.fetch_add(1, Ordering::SeqCst);
        InUse(self.clone())
    }
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beside")
            .field("threads", &self.threads)
            .field("cut", &self.cut)
            .finish_non_exhaustive()
    }
}

/// Keeps a worker from its end.
pub(super) struct InUse(Arc<Beside>);

impl Drop for InUse {
    fn drop(&mut self) {
        if self.0.threads.fetch_sub(1, Ordering::SeqCst) == 1 {
            (self.0.ring)();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn beside() -> Arc<Beside> {
        Arc::new(Beside::new(|| ()))
    }

    #[test]
    fn a_turn_is_given_up_or_taken_away_and_never_both() {
        let beside = beside();
        let run = Attempt(3);
        assert!(!beside.gives_turn(run));
        beside.has_turn(run);
        beside.has_turn(Attempt(4));
        let winners: usize = std::thread::scope(|scope| {
            let tries = [(); 4].map(|()| scope.spawn(|| usize::from(beside.gives_turn(run))));
            tries.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(winners, 1);
        assert!(beside.gives_turn(Attempt(4)));
    }

    #[test]
    fn a_worker_has_threads_until_the_last_one_ends() {
        let beside = beside();
        let (one, two) = (beside.thread(), beside.thread());
        drop(one);
        assert!(beside.has_threads() && !beside.is_cut());
        drop(two);
        assert!(!beside.has_threads());
        beside.cut();
        assert!(beside.is_cut() && beside.cut_flag().load(Ordering::SeqCst));
    }
}
