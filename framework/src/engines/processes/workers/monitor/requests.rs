//! The part of the monitor that other threads use. They leave requests, and the monitor's thread
//! takes them.

use std::{
    os::fd::OwnedFd,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::ThreadId,
    time::{Duration, Instant},
};

use mobula_protocol::{Error, Result, WorkerId};
use mobula_store::{descriptors, limits::Wanted};
use parking_lot::Mutex;

use crate::{engines::processes::workers::watched::Watched, init::WorkerEntry};

/// Longer than any program runs.
const AGES: Duration = Duration::from_secs(1 << 32);

/// The part of the monitor that other threads use.
#[derive(Debug)]
pub(in crate::engines::processes) struct Monitor {
    entry: WorkerEntry,
    /// Written to when there is something in `requests`.
    pub(super) wake: OwnedFd,
    pub(super) requests: Mutex<Requests>,
    pub(super) thread: OnceLock<ThreadId>,
    /// Whether tasks are, or were, under way. Then the thread looks now and then for stopped
    /// workers.
    pub(super) armed: AtomicBool,
}

#[derive(Debug, Default)]
pub(super) struct Requests {
    pub(super) new: Vec<Watched>,
    pub(super) to_kill: Vec<(WorkerId, String)>,
    /// How many workers are to be started.
    pub(super) start: usize,
    /// Workers that are to have ended by the given times.
    pub(super) ends: Vec<(WorkerId, Instant)>,
    /// When the scheduler has something to do.
    pub(super) wake_at: Option<Instant>,
    /// When all workers are to be gone.
    pub(super) end: Option<Instant>,
}

impl Monitor {
    /// Creates the monitor.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(in crate::engines::processes) fn new(entry: WorkerEntry) -> Result<Monitor> {
        let wake = descriptors::event()
            .map_err(|error| Error::refused("cannot watch workers", Wanted::Descriptor, error))?;
        Ok(Monitor {
            entry,
            wake,
            requests: Mutex::default(),
            thread: OnceLock::new(),
            armed: AtomicBool::new(false),
        })
    }

    /// Returns the arguments and variables with which workers are started.
    pub(in crate::engines::processes) fn entry(&self) -> &WorkerEntry {
        &self.entry
    }

    pub(in crate::engines::processes) fn add(&self, watched: Watched) {
        self.requests.lock().new.push(watched);
        self.notify();
    }

    /// Requests `workers` further workers.
    pub(in crate::engines::processes) fn start(&self, workers: usize) {
        self.requests.lock().start += workers;
        self.notify();
    }

    /// Requests `start` further workers, and the end of other workers within their times.
    pub(in crate::engines::processes) fn change(
        &self,
        start: usize,
        ends: Vec<(WorkerId, Duration)>,
    ) {
        let now = Instant::now();
        let mut requests = self.requests.lock();
        requests.start += start;
        // A time beyond the end of time becomes a very long time.
        let at = |grace| now.checked_add(grace).unwrap_or(now + AGES);
        let ends = ends.into_iter().map(|(id, grace)| (id, at(grace)));
        requests.ends.extend(ends);
        drop(requests);
        self.notify();
    }

    /// Requests that the scheduler is told the time at `at`.
    pub(in crate::engines::processes) fn wake_at(&self, at: Instant) {
        let mut requests = self.requests.lock();
        requests.wake_at = Some(requests.wake_at.map_or(at, |earlier| earlier.min(at)));
        drop(requests);
        self.notify();
    }

    /// Whether the caller is the monitor's thread. If this thread waits, nobody else does its work.
    pub(in crate::engines::processes) fn is_this_thread(&self) -> bool {
        self.thread.get() == Some(&std::thread::current().id())
    }

    /// Requests the death of this worker, because of `why`.
    pub(in crate::engines::processes) fn mark_for_kill(&self, id: WorkerId, why: String) {
        self.requests.lock().to_kill.push((id, why));
        self.notify();
    }

    /// Notes that a task is under way. The caller has the lock. The monitor then reports a stopped
    /// worker. Costs a load, and a system call for the first task after a pause.
    pub(in crate::engines::processes) fn arm(&self) {
        if !self.armed.load(Ordering::Relaxed) {
            self.armed.store(true, Ordering::Relaxed);
            self.notify();
        }
    }

    /// Ends the thread when all workers are gone. That is at `end` at the latest, except for
    /// workers with a later time of their own.
    pub(in crate::engines::processes) fn close(&self, end: Instant) {
        self.requests.lock().end = Some(end);
        self.notify();
    }

    /// Returns a descriptor of the monitor.
    pub(in crate::engines::processes) fn waker(&self) -> &OwnedFd {
        &self.wake
    }

    /// Has the thread look for news: requests, and workers that have registered.
    pub(in crate::engines::processes) fn notify(&self) {
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}
