//! One step: a change of the state under the lock, and the work that follows from it.

use std::{sync::atomic::Ordering, time::Duration};

use mobula_protocol::{Mark, waiting::STUCK};
use parking_lot::MutexGuard;

use super::{
    Driver, State,
    peers::{
        Completion, Peers,
        deferred::{Completions, Deferred, Seldom},
    },
};
use crate::{promise::ENGINE, scheduler::Scheduler};

/// The work that is left for the thread that reads the workers' answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    /// Whether workers have sent answers.
    pub(super) answers: bool,
    /// Whether there is other work to do at once.
    other: bool,
    /// Whether tasks are packed. Then a thread has to look at the clock soon.
    pub(super) packed: bool,
}

impl Left {
    /// Whether there is work to do at once.
    pub(super) fn any(self) -> bool {
        self.answers || self.other
    }
}

fn complete_one((handle, outcome): Completion) {
    if let Some(handle) = handle.upgrade() {
        handle.complete(outcome, ENGINE);
    }
}

impl Driver {
    /// Runs `f` on the state, then does the work that follows from it.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Scheduler, &mut Peers) -> R) -> R {
        self.step(false, f, |_, result| result)
    }

    /// Does what `with` does, for a change that a worker may be waiting for. `after` is called when
    /// all messages are sent, and before any thread can act on an answer. Dropped handles of small
    /// values are counted at the next step. Mostly the worker runs by then.
    pub(super) fn with_priority<T, R>(
        &self,
        f: impl FnOnce(&mut Scheduler, &mut Peers) -> T,
        after: impl FnOnce(&mut Scheduler, T) -> R,
    ) -> R {
        self.step(true, f, after)
    }

    #[inline]
    fn step<T, R>(
        &self,
        latency_critical: bool,
        f: impl FnOnce(&mut Scheduler, &mut Peers) -> T,
        after: impl FnOnce(&mut Scheduler, T) -> R,
    ) -> R {
        let (result, deferred) = self.step_in(self.state.lock(), latency_critical, f, after);
        if let Some(deferred) = deferred {
            self.follow_up(deferred, false);
        }
        result
    }

    /// Runs a step with the lock that the caller has taken. Returns what the caller must do without
    /// the lock.
    #[inline]
    fn step_in<T, R>(
        &self,
        mut state: MutexGuard<'_, State>,
        latency_critical: bool,
        f: impl FnOnce(&mut Scheduler, &mut Peers) -> T,
        after: impl FnOnce(&mut Scheduler, T) -> R,
    ) -> (R, Option<Deferred>) {
        let State { scheduler, peers } = &mut *state;
        // Not in two steps in a row, so that deferred handles do not become many.
        peers.defers_releases =
            latency_critical && !peers.defers_releases && !self.released.has_memory();
        if !peers.defers_releases {
            self.count_released(scheduler, peers);
        }
        let result = f(scheduler, peers);
        scheduler.pump(peers);
        while peers.fail_unsendable(scheduler) || peers.tell_sealed(scheduler) {
            scheduler.pump(peers);
        }
        peers.flush();
        let late = scheduler.is_packed() && self.sleeps_long.load(Ordering::Relaxed);
        if late {
            self.sleeps_long.store(false, Ordering::Relaxed);
        }
        let result = after(scheduler, result);
        let deferred = peers.take_deferred();
        drop(state);
        if late {
            // The thread that sleeps does not know that it has to look at the clock.
            self.doorbell.notify_all();
        }
        (result, deferred)
    }

    pub(super) fn count_released(&self, scheduler: &mut Scheduler, peers: &mut Peers) {
        if !self.released.any() {
            return;
        }
        // Freeing an object can drop values, but no handle of this process. So no lock is taken
        // again.
        let mut released = peers.take_scratch();
        self.released.take(&mut released, |id, mark| match mark {
            Mark::Detached => scheduler.detach(id),
            Mark::Heard => scheduler.heard(id),
        });
        for id in released.drain(..) {
            if let Err(violation) = scheduler.release(id, peers) {
                debug_assert!(false, "{violation}");
            }
        }
        peers.keep_scratch(released);
    }

    /// Does the work for which no lock may be held: wakers, messages to the user, and changes of
    /// workers. `leads` says that the calling thread is the leader.
    #[inline]
    fn follow_up(&self, deferred: Deferred, leads: bool) {
        if self.complete(deferred.completions) && !leads {
            // A leader that sleeps may wait for one of the objects.
            self.doorbell.notify();
        }
        if let Some(seldom) = deferred.seldom {
            self.follow_up_seldom(*seldom);
        }
    }

    /// Completes handles, and wakes those who wait for them. Returns whether there were any.
    fn complete(&self, completions: Completions) -> bool {
        match completions {
            Completions::None => return false,
            Completions::One(completion) => complete_one(completion),
            Completions::Many(mut list) => {
                list.drain(..).for_each(complete_one);
                if let Some(mut state) = self.state.try_lock() {
                    state.peers.keep_completions(list);
                }
            }
        }
        true
    }

    #[cold]
    fn follow_up_seldom(&self, seldom: Seldom) {
        let Seldom {
            to_kill,
            runs_to_end,
            registrations,
            to_start,
            ends,
            wake_at,
            said,
        } = seldom;
        for line in said {
            eprintln!("mobula: {line}");
        }
        for (id, why) in to_kill {
            self.workforce.kill(self, id, why);
        }
        for (id, run, why) in runs_to_end {
            self.workforce.end_run(self, id, run, why);
        }
        if let Some(at) = wake_at {
            self.monitor.wake_at(at);
        }
        if to_start > 0 || !ends.is_empty() {
            self.workforce.change(self, to_start, ends);
        }
        if registrations > 0 {
            let mut startup = self.startup.lock();
            startup.registered += registrations;
            startup.failures = 0;
            self.started.notify_all();
            drop(startup);
            self.monitor.notify();
        }
    }

    /// Does the work of workers that run on this thread. Then reads the workers' answers and acts
    /// on them. Returns whether there were any.
    pub(super) fn poll(&self) -> bool {
        let mut any = false;
        while self.workforce.work_here(self) {
            any |= self.read_answers();
        }
        self.read_answers() || any
    }

    /// Reads the workers' answers and acts on them. Returns whether there were any.
    fn read(&self, scheduler: &mut Scheduler, peers: &mut Peers) -> bool {
        let any = peers.drain_all(scheduler);
        peers.look_at_the_clock(scheduler);
        self.leaves_answers
            .store(peers.any_ready(), Ordering::Relaxed);
        any
    }

    fn read_answers(&self) -> bool {
        self.with(|scheduler, peers| self.read(scheduler, peers))
    }

    /// Reads the answers if no thread has the lock and a worker has answered. For a leader, which
    /// looks again and again. Returns whether there were any.
    pub(super) fn read_ready(&self) -> bool {
        let state = self.state.try_lock();
        let Some(state) = state.filter(|state| state.peers.any_ready()) else {
            return false;
        };
        let (any, deferred) = self.step_in(
            state,
            false,
            |scheduler, peers| self.read(scheduler, peers),
            |_, any| any,
        );
        if let Some(deferred) = deferred {
            self.follow_up(deferred, true);
        }
        any
    }

    /// Returns for how long a thread that reads the answers may sleep. `None` is no limit.
    pub(super) fn patience(&self) -> Option<Duration> {
        let state = self.state.lock();
        let packed = state.scheduler.is_packed();
        self.sleeps_long.store(!packed, Ordering::Relaxed);
        packed.then_some(STUCK)
    }

    /// Whether there is work to do at once, such as answers to read, or room for messages that had
    /// found none.
    pub(super) fn has_work(&self) -> bool {
        self.look().any()
    }

    /// Returns the work that there is.
    pub(super) fn look(&self) -> Left {
        let (left, deferred) = {
            let mut state = self.state.lock();
            let progress = state.peers.flush();
            let packed = state.scheduler.is_packed();
            let late = packed && self.sleeps_long.load(Ordering::Relaxed);
            let left = Left {
                answers: state.peers.any_ready(),
                other: progress || late || self.released.ends_actors(),
                packed,
            };
            (left, state.peers.take_deferred())
        };
        if let Some(deferred) = deferred {
            self.follow_up(deferred, false);
        }
        left
    }

    /// Whether any task is unfinished.
    pub(super) fn pending_work(&self) -> bool {
        self.state.lock().scheduler.pending_work()
    }
}
