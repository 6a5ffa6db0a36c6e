//! Timers: time limits of tasks, and kills of workers whose task does not end.
//!
//! The scheduler has no clock: its [`Host`] reports the time and calls back.

use std::{collections::BTreeMap, time::Instant};

use mobula_protocol::{Attempt, WorkerId};

use super::{Host, Scheduler, task_table::TaskId};

/// The action of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Ends the task if it has not ended.
    Deadline(TaskId),
    /// Ends this run of the task if it has not ended.
    Limit(TaskId, Attempt),
    /// Kills the worker if it still has this attempt.
    Kill(WorkerId, Attempt),
}

/// The key of a timer: its time and a unique number.
pub(super) type TimerKey = (Instant, u64);

/// All timers, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeMap<TimerKey, Due>,
    next: u64,
    /// The time of the pending callback. Removed timers do not cancel the callback: one superfluous
    /// call costs less than two messages for each task with a limit.
    asked: Option<Instant>,
}

impl Timers {
    pub(super) fn remove(&mut self, key: TimerKey) {
        self.due.remove(&key);
    }

    /// Removes and returns the first timer whose time has come.
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
    /// Sets a timer.
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

    /// Runs the due timers, and requests a callback for later timers.
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
