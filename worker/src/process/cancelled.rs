//! Tasks of this worker that nobody waits for any more.
//!
//! The control lane says which, by the number of the run. An asynchronous function is dropped where
//! it waits next. A blocking one ends by unwinding where it waits for an object, and can ask
//! before.

use std::task::Waker;

use mobula_protocol::{Attempt, Awaited, Error, ObjectHandle, Result, TaskProgress, WorkerId};

use super::{
    cancellations::{self, Cancellations, this_run},
    here::{self, Here, Number},
    panics, within,
};

/// A run of a task in a worker, for who wants to know whether it is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    run: Attempt,
    worker: WorkerId,
    here: Number,
    /// A call within the run.
    within: bool,
}

impl Run {
    /// The one that this thread is in.
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

    /// Whether it is a call that its caller runs within itself.
    pub(crate) fn is_within(self) -> bool {
        self.within
    }

    /// Tells the driver how far it is.
    pub(crate) fn report(self, progress: TaskProgress) {
        here::with_number(self.here, |worker| worker.report(self.run, progress));
    }

    pub(crate) fn worker(self) -> WorkerId {
        self.worker
    }

    /// # Errors
    /// Nobody waits for it any more.
    pub(crate) fn check_cancelled(self) -> Result<()> {
        let is_cancelled = |worker: &dyn Here| worker.cancellations().has(self.run, self.within);
        match cancellations::ever() && here::with_number(self.here, is_cancelled) == Some(true) {
            true => Err(cancelled()),
            false => Ok(()),
        }
    }
}

/// # Errors
/// Nobody waits for the task of this thread any more.
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

/// # Errors
/// The task of this thread is cancelled. Nobody will see this error.
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

/// Something that this thread's task waits for, or its cancellation.
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

    /// If nobody waits for this thread's task any more, and what it waits for is not there, the
    /// task ends here.
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

/// Wakes the task of this thread when it is cancelled, for as long as this lives.
pub(super) struct Woken<'a>(&'a Cancellations, Attempt);

/// Has the waker called when the task of this thread is cancelled. `Err`: it is.
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
