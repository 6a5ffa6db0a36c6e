//! What happens at a given time: limits of tasks, and the kill of workers whose task does not end.
//!
//! The scheduler has no clock: it asks its [`Host`] for the time, and to be called again.

use std::{collections::BTreeMap, time::Instant};

use mobula_protocol::{Attempt, WorkerId};

use super::{Host, Scheduler, task_table::TaskId};

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The task must have ended.
    Deadline(TaskId),
    /// This run of the task must have ended.
    Limit(TaskId, Attempt),
    /// The worker is killed if it still has this.
    Kill(WorkerId, Attempt),
}

/// A timer, by its time and by a number of its own.
pub(super) type TimerKey = (Instant, u64);

/// All timers, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeMap<TimerKey, Due>,
    next: u64,
    /// When the host was asked to call, and has not yet. It is not told that a timer is gone: a
    /// call too many each time costs less than two messages for each task with a limit.
    asked: Option<Instant>,
}

impl Timers {
    pub(super) fn remove(&mut self, key: TimerKey) {
        self.due.remove(&key);
    }

    /// Takes the first out whose time has come.
    fn take(&mut self, now: Instant) -> Option<Due> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }
}

impl Scheduler {
    /// Has something happen at this time.
    pub(super) fn set_timer(&mut self, at: Instant, due: Due, host: &mut impl Host) -> TimerKey {
        let key = (at, self.timers.next);
        self.timers.next += 1;
        self.timers.due.insert(key, due);
        self.ask_for_a_call(at, host);
        key
    }

    fn ask_for_a_call(&mut self, at: Instant, host: &mut impl Host) {
        if self.timers.asked.is_none_or(|asked| at < asked) {
            self.timers.asked = Some(at);
            host.wake_at(at);
        }
    }

    /// Does what is due. Asks to be called again where something is to happen later.
    pub(crate) fn on_time(&mut self, now: Instant, host: &mut impl Host) {
        self.timers.asked = None;
        while let Some(due) = self.timers.take(now) {
            match due {
                Due::Deadline(task) => self.deadline_passed(task, host),
                Due::Limit(task, attempt) => self.limit_passed(task, attempt, host),
                Due::Kill(worker, attempt) => self.grace_passed(worker, attempt, host),
            }
        }
        let first = self.timers.due.first_key_value();
        if let Some(at) = first.map(|(first, _)| first.0) {
            self.ask_for_a_call(at, host);
        }
    }
}
