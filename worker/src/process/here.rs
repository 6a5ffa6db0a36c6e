//! The worker that a thread belongs to. Code that user code calls finds its worker here.
//!
//! A thread that runs tasks has a worker of its own ([`Member`]). In a worker process all other
//! threads belong to the process' one worker too: threads that tasks start, and threads of
//! executors.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    marker::PhantomData,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use mobula_protocol::{Attempt, Engine, Error, FunctionIndex, Result, TaskProgress, WorkerId};
use parking_lot::Mutex;

use super::cancellations::Cancellations;
use crate::teardown::Locals;

/// The worker that this process is, if it is one.
static PROCESS: OnceLock<Arc<dyn Here>> = OnceLock::new();

/// The workers in threads of this process, by their numbers.
static IN_THREADS: Mutex<BTreeMap<Number, Weak<dyn Here>>> = Mutex::new(BTreeMap::new());

thread_local! {
    /// The worker in threads that this thread belongs to.
    static MEMBER_OF: RefCell<Option<Arc<dyn Here>>> = const { RefCell::new(None) };
}

/// A number that no other worker of this process has, also not a worker of another runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number(u64);

impl Number {
    /// The number of the worker that this process is.
    pub(super) const PROCESS: Number = Number(0);

    /// Returns the number of a new worker in threads.
    pub(super) fn next() -> Number {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Number(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Makes `worker` the worker of this process. Returns `false` if the process has one already.
pub(super) fn set_process(worker: Arc<dyn Here>) -> bool {
    PROCESS.set(worker).is_ok()
}

/// Lists a worker: it is found by its number until it is [struck](strike).
pub(super) fn list(worker: &Arc<dyn Here>) {
    let entry = Arc::downgrade(worker);
    IN_THREADS.lock().insert(worker.number(), entry);
}

/// Strikes a worker from the list, since it has ended.
pub(super) fn strike(number: Number) {
    let struck = IN_THREADS.lock().remove(&number);
    drop(struck);
}

/// While this lives, the thread belongs to a worker in threads.
#[must_use]
pub(super) struct Member(PhantomData<*const ()>);

impl Member {
    pub(super) fn enter(worker: Arc<dyn Here>) -> Member {
        MEMBER_OF.set(Some(worker));
        Member(PhantomData)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Dropped after the borrow: this may be the last handle of a worker.
        let left = MEMBER_OF.try_with(RefCell::take);
        drop(left);
    }
}

/// Calls `f` with the worker of this thread, if it has one.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&dyn Here) -> R) -> Option<R> {
    match PROCESS.get() {
        Some(worker) => Some(f(&**worker)),
        None => member_of().map(|worker| f(&*worker)),
    }
}

/// Returns the worker of this thread, if it has one.
pub(crate) fn current() -> Option<Arc<dyn Here>> {
    PROCESS.get().cloned().or_else(member_of)
}

fn member_of() -> Option<Arc<dyn Here>> {
    // While the thread is torn down, there is no worker.
    MEMBER_OF.try_with(|worker| worker.borrow().clone()).ok()?
}

/// Calls `f` with the worker of this number, on any thread of its process. Returns `None` if the
/// worker has ended.
pub(super) fn with_number<R>(number: Number, f: impl FnOnce(&dyn Here) -> R) -> Option<R> {
    if number == Number::PROCESS {
        return PROCESS.get().map(|worker| f(&**worker));
    }
    let worker = IN_THREADS.lock().get(&number).and_then(Weak::upgrade);
    worker.map(|worker| f(&*worker))
}

/// A worker, with any kind of link to its driver.
pub(crate) trait Here: Engine {
    fn id(&self) -> WorkerId;

    /// Returns the number that no other worker of this process has, also not a worker of another
    /// runtime.
    fn number(&self) -> Number;

    /// Returns the engine for the code of this thread.
    ///
    /// # Errors
    /// The driver takes no request from the worker.
    fn engine(&self) -> Result<Arc<dyn Engine>>;

    fn cancellations(&self) -> &Cancellations;

    /// Tells the driver how far a run is.
    fn report(&self, run: Attempt, progress: TaskProgress);

    /// Returns the values of [`WorkerLocal`](crate::WorkerLocal)s, where a process has several
    /// workers.
    fn locals(&self) -> Option<&Locals>;

    /// Says which function the task of this thread runs at the moment.
    fn set_function(&self, function: FunctionIndex);

    /// Says that the task of this thread sleeps, and gives its turn to another task until the task
    /// has [resumed](Here::resumed). Returns whether some thread of the worker goes on with the
    /// lane; see [`shortage`](super::shortage).
    ///
    /// # Panics
    /// The thread runs no task, or has given up its turn already.
    fn sleeps(&self) -> bool;

    /// Does what [`sleeps`](Here::sleeps) does, until the result is dropped.
    ///
    /// # Panics
    /// The thread runs no task, or has given up its turn already.
    fn pause(&self) -> Paused<'_>;

    /// Takes the turn back if that needs no waiting. Returns whether it did.
    fn try_resume(&self) -> bool;

    /// Says that the task of this thread goes on. Waits for the turn unless the task `has_turn`.
    fn resumed(&self, has_turn: bool);

    /// Looks for a thread that goes on with the lane. Tells the driver if the answer has changed.
    fn look_for_stand_in(&self) -> Served;

    /// Says that a task goes on that has waited without a stand-in. At the task's end, its thread
    /// goes on with the lane.
    fn ends_shortage(&self);
}

/// Whether a thread goes on with the lane while a task waits.
#[derive(Debug)]
pub(crate) enum Served {
    /// A thread of the worker does.
    Yes,
    /// No thread does, and no task in the lane needs one at the moment.
    No,
    /// No thread does, and nothing can run any more. The wait has to end with this error.
    GiveUp(Error),
}

/// The task of this thread has given up its turn. The drop of this waits until the task has the
/// turn back. Until then the thread may only sleep, and runs no code of the user's.
#[must_use]
pub(crate) struct Paused<'w> {
    worker: &'w dyn Here,
    has_turn: bool,
    /// Whether some thread goes on with the lane.
    pub(super) has_stand_in: bool,
    on_its_thread: PhantomData<*const ()>,
}

impl<'w> Paused<'w> {
    pub(super) fn new(worker: &'w dyn Here, has_stand_in: bool) -> Paused<'w> {
        Paused {
            worker,
            has_turn: false,
            has_stand_in,
            on_its_thread: PhantomData,
        }
    }

    /// Takes the turn back if that needs no waiting. Returns whether the task has the turn.
    pub(super) fn try_resume(&mut self) -> bool {
        self.has_turn = self.has_turn || self.worker.try_resume();
        self.has_turn
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.worker.resumed(self.has_turn);
    }
}
