//! The worker that a thread belongs to, as code reaches it that user code calls.
//!
//! In a worker process all threads belong to the process' one worker: those that run tasks, those that
//! tasks start, and those of executors.

use std::{
    marker::PhantomData,
    sync::{Arc, OnceLock},
};

use mobula_protocol::{Attempt, Engine, Error, FunctionIndex, Result, TaskProgress, WorkerId};

use super::cancellations::Cancellations;

/// The worker that this process is, if it is one.
static PROCESS: OnceLock<Arc<dyn Here>> = OnceLock::new();

/// This process is the worker from now on. `false`: it is one already.
pub(super) fn set_process(worker: Arc<dyn Here>) -> bool {
    PROCESS.set(worker).is_ok()
}

/// Calls `f` with the worker of this thread, if it has one.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&dyn Here) -> R) -> Option<R> {
    PROCESS.get().map(|worker| f(&**worker))
}

/// The worker of this thread, if it has one.
pub(crate) fn current() -> Option<Arc<dyn Here>> {
    PROCESS.get().cloned()
}

/// A worker, whatever ties it to its driver.
pub(crate) trait Here: Engine {
    fn id(&self) -> WorkerId;

    /// The engine for the code of this thread.
    ///
    /// # Errors
    /// The driver takes no request from it.
    fn engine(&self) -> Result<Arc<dyn Engine>>;

    fn cancellations(&self) -> &Cancellations;

    /// Tells the driver how far a run is.
    fn report(&self, run: Attempt, progress: TaskProgress);

    /// Says which function the task of this thread runs at the moment.
    fn set_function(&self, function: FunctionIndex);

    /// Says that the task of this thread sleeps, and lets another one run until the result is
    /// dropped. The result knows whether some thread of the worker goes on with the lane; see
    /// [`shortage`](super::shortage).
    ///
    /// # Panics
    /// If the thread does not run a task, or has given up its turn already.
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
