//! The worker that a thread belongs to, as code reaches it that user code calls.
//!
//! A thread that runs tasks has a worker of its own ([`Member`]). In a worker process all other
//! threads belong to the process' one worker too: those that tasks start, and those of executors.

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

/// What no other worker of this process has, also of another runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number(u64);

impl Number {
    /// Of the worker that this process is.
    pub(super) const PROCESS: Number = Number(0);

    /// Of a new worker in threads.
    pub(super) fn next() -> Number {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Number(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// This process is the worker from now on. `false`: it is one already.
pub(super) fn set_process(worker: Arc<dyn Here>) -> bool {
    PROCESS.set(worker).is_ok()
}

/// The worker is found by its number until it is [struck](strike).
pub(super) fn list(worker: &Arc<dyn Here>) {
    let entry = Arc::downgrade(worker);
    IN_THREADS.lock().insert(worker.number(), entry);
}

/// The worker has ended.
pub(super) fn strike(number: Number) {
    let struck = IN_THREADS.lock().remove(&number);
    drop(struck);
}

/// This thread belongs to a worker in threads until this is dropped.
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
        // Behind the borrow: the last handle of a worker may go.
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

/// The worker of this thread, if it has one.
pub(crate) fn current() -> Option<Arc<dyn Here>> {
    PROCESS.get().cloned().or_else(member_of)
}

fn member_of() -> Option<Arc<dyn Here>> {
    // While the thread is torn down there is none.
    MEMBER_OF.try_with(|worker| worker.borrow().clone()).ok()?
}

/// Calls `f` with the worker of this number, on any thread of its process. None, if it has ended.
pub(super) fn with_number<R>(number: Number, f: impl FnOnce(&dyn Here) -> R) -> Option<R> {
    if number == Number::PROCESS {
        return PROCESS.get().map(|worker| f(&**worker));
    }
    let worker = IN_THREADS.lock().get(&number).and_then(Weak::upgrade);
    worker.map(|worker| f(&*worker))
}

/// A worker, whatever ties it to its driver.
pub(crate) trait Here: Engine {
    fn id(&self) -> WorkerId;

    /// What no other worker of this process has, also of another runtime.
    fn number(&self) -> Number;

    /// The engine for the code of this thread.
    ///
    /// # Errors
    /// The driver takes no request from it.
    fn engine(&self) -> Result<Arc<dyn Engine>>;

    fn cancellations(&self) -> &Cancellations;

    /// Tells the driver how far a run is.
    fn report(&self, run: Attempt, progress: TaskProgress);

    /// The values of [`WorkerLocal`](crate::WorkerLocal)s, where a process has several workers.
    fn locals(&self) -> Option<&Locals>;

    /// Says which function the task of this thread runs at the moment.
    fn set_function(&self, function: FunctionIndex);

    /// Says that the task of this thread sleeps, and gives its turn to another one until it has
    /// [resumed](Here::resumed). Whether some thread of the worker goes on with the lane; see
    /// [`shortage`](super::shortage).
    ///
    /// # Panics
    /// If the thread does not run a task, or has given up its turn already.
    fn sleeps(&self) -> bool;

    /// As [`sleeps`](Here::sleeps), until the result is dropped.
    ///
    /// # Panics
    /// As there.
    fn pause(&self) -> Paused<'_>;

    /// Takes the turn back if that needs no waiting.
    fn try_resume(&self) -> bool;

    /// The task of this thread goes on. Waits for the turn unless it `has_turn`.
    fn resumed(&self, has_turn: bool);

    /// Looks for a thread that goes on with the lane, and tells the driver if that has changed.
    fn look_for_stand_in(&self) -> Served;

    /// A task goes on that has waited without a stand-in. At its end, its thread goes on with the
    /// lane.
    fn ends_shortage(&self);
}

/// Who goes on with the lane while a task waits.
#[derive(Debug)]
pub(crate) enum Served {
    /// A thread of the worker does.
    Yes,
    /// Nobody does, and nothing stands in the lane for which that would matter.
    No,
    /// Nobody does, and nothing can run any more: the wait has to end with this error.
    GiveUp(Error),
}

/// The task of this thread has given up its turn, and gets it back when this is dropped, which
/// waits for that. Only a sleep may happen until then, and no code of the user's.
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

    /// Takes the turn back if that needs no waiting.
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
