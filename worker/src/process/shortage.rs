//! A task waits, and the system gives its process no thread that goes on with the task lane.
//!
//! The task waits all the same. The worker tells the driver, and tries every [`RETRY`] to get the
//! thread. The driver hands the worker no further task while another worker takes tasks. When no
//! worker takes tasks any more, the driver hands a task to a worker that is short of threads. The
//! driver does not take this task back. Then nothing can run unless a task gives up its wait. The
//! wait ends with an error that names the limit.

use std::{
    io,
    time::{Duration, Instant},
};

use mobula_store::limits::{self, Wanted};
use parking_lot::Mutex;

use super::{here::Served, tasks, worker::Worker};
use crate::link::{Link, Out};
use mobula_protocol::{Error, ObjectId, message::FromWorker};

/// How often a worker tries again.
pub(super) const RETRY: Duration = Duration::from_millis(20);

/// How long a task has to stand in the lane before a wait ends for its sake. In this time the
/// driver takes back the tasks that it has handed over before it knew of the shortage.
const PATIENCE: Duration = Duration::from_secs(1);

/// The facts that a worker knows of its shortage of threads.
#[derive(Debug, Default)]
pub(crate) struct Shortage {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the driver believes that nobody takes tasks from the lane.
    told: bool,
    /// The task that stands first in the lane, and since when. A task that waits in futures looks
    /// in between. The driver then hands the first task over anew.
    head: Option<(ObjectId, Instant)>,
}

impl State {
    /// Returns for how long this task has stood first in the lane.
    fn stands_for(&mut self, head: Option<ObjectId>, now: Instant) -> Duration {
        let known = self.head.filter(|(known, _)| Some(*known) == head);
        self.head = head.map(|head| known.unwrap_or((head, now)));
        self.head.map_or(Duration::ZERO, |(_, since)| now - since)
    }
}

impl<L: Link> Worker<L> {
    /// See [`Here::look_for_stand_in`](super::here::Here::look_for_stand_in).
    pub(super) fn look_for_thread(&self) -> Served {
        let mut state = self.shortage.state.lock();
        match tasks::stand_in(self) {
            Ok(()) => {
                state.head = None;
                self.tell(&mut state, false);
                Served::Yes
            }
            Err(error) => {
                self.tell(&mut state, true);
                // Otherwise the thread that runs a task or has the lane looks at the lane next.
                if self.turn.is_free()
                    && let Some(mut lane) = self.tasks.try_lock()
                {
                    let first = lane.first_task(&self.turn, &self.state);
                    drop(lane);
                    if state.stands_for(first, Instant::now()) >= PATIENCE {
                        state.head = None;
                        return Served::GiveUp(no_thread(&error));
                    }
                }
                Served::No
            }
        }
    }

    /// See [`Here::ends_shortage`](super::here::Here::ends_shortage).
    pub(super) fn end_shortage(&self) {
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
