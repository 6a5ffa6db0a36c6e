//! A thread that sleeps for futures.

use std::{
    sync::{Arc, atomic::Ordering::Acquire},
    time::{Duration, Instant},
};

use super::{place::Place, state::wake_task, waiters::Waiters};
use crate::primitive::{Futex, Memory};

/// The time for which a thread stays without a future. To start a thread costs more than a wait.
const IDLE: Duration = Duration::from_secs(1);

/// The futexes on which a thread is about to sleep.
struct Watch<M: Memory> {
    doorbell: Arc<M::Futex>,
    queues: Vec<(Place<M>, u32)>,
    sleep: Sleep,
}

enum Sleep {
    /// A line is without a future, so the thread does not sleep.
    Not,
    /// There are lines, or woken futures with time to check.
    For(Option<Duration>),
    /// There is no future.
    Idle,
}

impl<M: Memory> Waiters<M> {
    /// Sleeps for the futures of the thread's lines, until there are none.
    pub(super) fn serve(&self, thread: u64) {
        let Some(doorbell) = self.with(|state| Some(state.threads.get(&thread)?.doorbell.clone()))
        else {
            return;
        };
        loop {
            // The doorbell is read first, so a change after this ends the sleep.
            let notified = doorbell.load(Acquire);
            let Some(watch) = self.watch(thread) else {
                return;
            };
            self.sleep(&watch, notified);
            let queue =
                |(place, _): &(Place<M>, u32)| (place.address(), place.futex().load(Acquire));
            let found: Vec<_> = watch.queues.iter().map(queue).collect();
            let follow_up = self.with(|state| state.look(thread, &found, Instant::now()));
            follow_up.wake.into_iter().for_each(wake_task);
            follow_up.pass.iter().for_each(|place| place.pass(true));
            follow_up
                .pass_for_nobody
                .iter()
                .for_each(Place::pass_for_nobody);
            if matches!(watch.sleep, Sleep::Idle) && self.ends(thread) {
                return;
            }
        }
    }

    fn watch(&self, thread: u64) -> Option<Watch<M>> {
        self.with(|state| {
            let thread = state.threads.get(&thread)?;
            let lines = thread.lines.iter().filter_map(|at| state.lines.get(at));
            let queues = lines.clone().map(|line| (line.place.clone(), line.seq));
            let next = thread.woken.first().map(|(until, _)| until);
            let sleep = if lines.clone().any(|line| line.futures.is_empty()) {
                Sleep::Not
            } else if let Some(until) = next {
                Sleep::For(Some(until.saturating_duration_since(Instant::now())))
            } else if thread.lines.is_empty() {
                Sleep::Idle
            } else {
                Sleep::For(None)
            };
            Some(Watch {
                doorbell: thread.doorbell.clone(),
                queues: queues.collect(),
                sleep,
            })
        })
    }

    fn sleep(&self, watch: &Watch<M>, notified: u32) {
        let timeout = match watch.sleep {
            Sleep::Not => return,
            Sleep::For(time) => time,
            // Models have no time: a wait with a limit ends at once there. They have few threads.
            Sleep::Idle => (!cfg!(loom)).then_some(IDLE),
        };
        let queues = watch
            .queues
            .iter()
            .map(|(place, seq)| (place.futex(), *seq));
        let mut all: Vec<_> = queues.collect();
        // See `Waiters::doorbell`.
        if self.most > 1 || all.is_empty() {
            all.push((&*watch.doorbell, notified));
        }
        M::Futex::wait_any(&all, timeout);
    }

    /// Ends the thread if no future has come since.
    fn ends(&self, thread: u64) -> bool {
        self.with(|state| {
            let idle = |thread: &super::state::Thread<M>| {
                thread.lines.is_empty() && thread.woken.is_empty()
            };
            let ends = state.threads.get(&thread).is_none_or(idle);
            if ends {
                state.threads.remove(&thread);
            }
            ends
        })
    }
}
