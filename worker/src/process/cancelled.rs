//! Tasks of this worker that nobody waits for any more.
//!
//! The control lane brings the number of the cancelled run. The worker drops an asynchronous
//! function where it waits next. A blocking function ends by unwinding where it waits for an
//! object. The code of a task can ask earlier whether the task is cancelled.

use std::task::Waker;

use mobula_protocol::{Attempt, Awaited, Error, ObjectHandle, Result, TaskProgress, WorkerId};

use super::{
    cancellations::{self, Cancellations, this_run},
    here::{self, Here, Number},
    panics, within,
};

/// A run of a task in a worker. Code that wants to know whether the run is cancelled holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    run: Attempt,
    worker: WorkerId,
    here: Number,
    /// Whether this is a call within the run.
    within: bool,
}

impl Run {
    /// Returns the run that this thread is in.
    pub(crate) fn of_this_thread() -> Option<Run> {
        let run = this_run()?;
        let (worker, here) = here::with(|worker| (worker.id(), worker.number()))?;
        let within = within::is_within();
        Some(Run {
            run,
            worker,
            here,
            within,
        })
    }

    /// Whether this is a call that its caller runs within itself.
    pub(crate) fn is_within(self) -> bool {
        self.within
    }

    /// Tells the driver how far the run is.
    pub(crate) fn report(self, progress: TaskProgress) {
        here::with_number(self.here, |worker| worker.report(self.run, progress));
    }

    pub(crate) fn worker(self) -> WorkerId {
        self.worker
    }

    /// Checks that this run is not cancelled.
    ///
    /// # Errors
    /// Nobody waits for the run any more.
    pub(crate) fn check_cancelled(self) -> Result<()> {
        let is_cancelled = |worker: &dyn Here| worker.cancellations().has(self.run, self.within);
        match cancellations::ever() && here::with_number(self.here, is_cancelled) == Some(true) {
            true => Err(cancelled()),
            false => Ok(()),
        }
    }
}

/// Checks that the task of this thread is not cancelled.
///
/// # Errors
/// Nobody waits for the task any more.
#[inline]
pub(crate) fn check_cancelled() -> Result<()> {
    match cancellations::ever() {
        false => Ok(()),
        true => check_this_run(),
    }
}

#[cold]
fn check_this_run() -> Result<()> {
    here::with(|worker| check(worker.cancellations())).unwrap_or(Ok(()))
}

/// Whether nobody waits for the task of this thread any more.
pub(super) fn is_cancelled(cancellations: &Cancellations) -> bool {
    this_run().is_some_and(|run| cancellations.has(run, within::is_within()))
}

/// Checks that the task of this thread is not cancelled.
///
/// # Errors
/// The task is cancelled. Nobody will see this error.
#[inline]
pub(super) fn check(cancellations: &Cancellations) -> Result<()> {
    match is_cancelled(cancellations) {
        true => Err(cancelled()),
        false => Ok(()),
    }
}

#[cold]
fn cancelled() -> Error {
    Error::cancelled("the task")
}

/// The object that this thread's task waits for, or the task's cancellation.
pub(super) struct OrCancelled<'a> {
    cancellations: &'a Cancellations,
    what: &'a dyn Awaited,
    run: Option<Attempt>,
}

impl<'a> OrCancelled<'a> {
    pub(super) fn new(cancellations: &'a Cancellations, what: &'a dyn Awaited) -> OrCancelled<'a> {
        OrCancelled {
            cancellations,
            what,
            run: this_run(),
        }
    }

    /// Ends this thread's task if it is cancelled and the awaited object is not there.
    pub(super) fn end_task_if_cancelled(&self) {
        // A destructor may wait while the thread unwinds.
        if !self.what.is_known()
            && !std::thread::panicking()
            && let Err(error) = check(self.cancellations)
        {
            panics::end_task(error);
        }
    }
}

impl Awaited for OrCancelled<'_> {
    fn is_known(&self) -> bool {
        self.what.is_known() || is_cancelled(self.cancellations)
    }

    fn subscribe(&self, waker: &Waker) -> bool {
        if let Some(run) = self.run
            && !self
                .cancellations
                .subscribe(run, within::is_within(), waker)
        {
            return false;
        }
        self.what.subscribe(waker)
    }

    fn for_each_entry(&self, f: &mut dyn FnMut(&ObjectHandle)) {
        self.what.for_each_entry(f);
    }
}

impl Drop for OrCancelled<'_> {
    fn drop(&mut self) {
        if let Some(run) = self.run {
            self.cancellations.unsubscribe(run);
        }
    }
}

/// While this lives, the cancellation of this thread's task calls a waker.
pub(super) struct Woken<'a>(&'a Cancellations, Attempt);

/// Has the waker called when the task of this thread is cancelled. Returns `None` if the thread is
/// in no run.
///
/// # Errors
/// The task is cancelled already.
pub(super) fn woken_when_cancelled<'a>(
    cancellations: &'a Cancellations,
    waker: &Waker,
) -> Result<Option<Woken<'a>>> {
    let Some(run) = this_run() else {
        return Ok(None);
    };
    match cancellations.subscribe(run, within::is_within(), waker) {
        true => Ok(Some(Woken(cancellations, run))),
        false => Err(cancelled()),
    }
}

impl Drop for Woken<'_> {
    fn drop(&mut self) {
        self.0.unsubscribe(self.1);
    }
}
