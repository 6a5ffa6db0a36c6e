//! What a worker in threads knows beside what all workers do: who has the turn, and what keeps it
//! from its end.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use mobula_protocol::{Attempt, bell::Bell};
use parking_lot::Mutex;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Beside {
    /// Runs that have the turn.
    with_turn: Mutex<Vec<Attempt>>,
    /// Threads that may run code of its tasks.
    threads: AtomicUsize,
    /// Nobody answers it any more.
    cut: Arc<AtomicBool>,
    control: Bell,
}

impl Beside {
    pub(super) fn new(control: Bell) -> Beside {
        Beside {
            with_turn: Mutex::default(),
            threads: AtomicUsize::new(0),
            cut: Arc::default(),
            control,
        }
    }

    /// Nobody answers the worker from now on.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        self.control.ring();
    }

    /// What [`cut`](Beside::cut) sets.
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

    /// This run has the turn from now on.
    pub(super) fn has_turn(&self, run: Attempt) {
        self.with_turn.lock().push(run);
    }

    /// This run has not got the turn from now on; `false`: it was taken away before.
    pub(super) fn gives_turn(&self, run: Attempt) -> bool {
        let mut runs = self.with_turn.lock();
        let at = runs.iter().position(|with| *with == run);
        at.map(|at| runs.swap_remove(at)).is_some()
    }

    /// A thread that runs tasks, until this is dropped.
    pub(super) fn thread(self: &Arc<Self>) -> InUse {
        self.threads.fetch_add(1, Ordering::SeqCst);
        InUse(self.clone())
    }
}

/// Keeps a worker from its end.
pub(super) struct InUse(Arc<Beside>);

impl Drop for InUse {
    fn drop(&mut self) {
        if self.0.threads.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.control.ring();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use mobula_protocol::primitive::{Memory, Region};
    use mobula_store::{Backing, SegmentFile, SharedWords};

    use super::*;

    fn beside() -> Arc<Beside> {
        let file = SegmentFile::create(8192, 8192, Backing::Anonymous).unwrap();
        let region = Region::new(SharedWords::map(&file).unwrap());
        assert!(!region.words().is_empty());
        Arc::new(Beside::new(Bell::new(region, 0)))
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
