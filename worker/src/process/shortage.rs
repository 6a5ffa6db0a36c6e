//! A task waits, and the system gives its process no thread that goes on with the task lane.
//!
//! The task waits all the same. The worker tells the driver, which hands it no further task while
//! another worker takes tasks, and tries every [`RETRY`] to get the thread. When no worker takes
//! tasks any more, the driver hands one over to a worker that is short of threads. Then nothing can
//! run unless a task gives up its wait: the wait ends with an error that names the limit.

use std::{
    io,
    time::{Duration, Instant},
};

use mobula_store::limits::{self, Wanted};
use parking_lot::Mutex;

use super::{table::Out, tasks, worker::Worker};
use mobula_protocol::{Error, message::FromWorker};

/// How often a worker tries again.
pub(super) const RETRY: Duration = Duration::from_millis(20);

/// A shortage that lasts less long ends no wait.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a worker knows of its shortage of threads.
#[derive(Debug, Default)]
pub(crate) struct Shortage {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The driver believes that nobody takes tasks from the lane.
    told: bool,
    /// The first and the latest refusal of a row.
    refused: Option<(Instant, Instant)>,
}

impl State {
    /// Since when threads are refused.
    fn refused(&mut self, now: Instant) -> Instant {
        let (first, _) = self
            .refused
            .filter(|(_, latest)| now.duration_since(*latest) < PATIENCE)
            .unwrap_or((now, now));
        self.refused = Some((first, now));
        first
    }
}

/// Who goes on with the lane while a task waits.
#[derive(Debug)]
pub(super) enum Served {
    /// A thread of the worker does.
    Yes,
    /// Nobody does, and nothing stands in the lane for which that would matter.
    No,
    /// Nobody does, and nothing can run any more: the wait has to end with this error.
    GiveUp(Error),
}

impl Worker {
    /// Looks for a thread that goes on with the lane, and tells the driver if that has changed.
    pub(super) fn look_for_stand_in(&self) -> Served {
        let mut state = self.shortage.state.lock();
        match tasks::stand_in(self) {
            Ok(()) => {
                state.refused = None;
                self.tell(&mut state, false);
                Served::Yes
            }
            Err(error) => {
                self.tell(&mut state, true);
                let now = Instant::now();
                let since = state.refused(now);
                drop(state);
                let lane_waits = || {
                    let lane = self.tasks.try_lock();
                    lane.is_some_and(|lane| lane.lane.ready())
                };
                if now.duration_since(since) >= PATIENCE && self.turn.is_free() && lane_waits() {
                    return Served::GiveUp(no_thread(&error));
                }
                Served::No
            }
        }
    }

    /// A task goes on. At its end, its thread goes on with the lane.
    pub(super) fn ends_shortage(&self) {
        let mut state = self.shortage.state.lock();
        self.tell(&mut state, false);
    }

    fn tell(&self, state: &mut State, stalled: bool) {
        if state.told != stalled {
            state.told = stalled;
            self.table.lock().out.push(&FromWorker::Stalled(stalled));
        }
    }
}

fn no_thread(error: &io::Error) -> Error {
    Error::resource_limit(format!(
        "a task gave up its wait, because its worker (pid {}) gets no further thread to run what \
         it waits for: {error}; {}",
        std::process::id(),
        limits::advice(Wanted::Thread, error)
    ))
}
