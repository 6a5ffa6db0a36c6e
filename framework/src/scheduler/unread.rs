//! Failures that nobody has read.
//!
//! A failed result is unread until the program, a waiting worker or a dependent call gets its
//! error. A dependent call has the result as an argument and fails with it. If the last ref of an
//! unread result goes, the scheduler prints a line on standard error. Cancelled tasks and tasks
//! that the end of the runtime ends are not failures. Each call of an actor reports the failure of
//! its constructor, and the items of a stream report its failure.

use std::{
    collections::HashSet,
    hash::BuildHasherDefault,
    time::{Duration, Instant},
};

use mobula_protocol::{Error, ObjectId, message::TaskSpec};
use mobula_store::NumberHasher;

use super::{
    Host, Scheduler,
    actors::ActorRole,
    object::{Object, ObjectState},
    task::Task,
};

/// The maximum number of lines in each `WINDOW`.
const LINES: u32 = 5;
const WINDOW: Duration = Duration::from_secs(1);

/// The unread failures: see the [module](self).
#[derive(Debug)]
pub(super) struct Unread {
    reports: bool,
    /// Failed results that nobody has read.
    pub(super) ids: HashSet<ObjectId, BuildHasherDefault<NumberHasher>>,
    /// The time of the first line in the current window. `lines` counts the lines in it.
    window: Option<Instant>,
    lines: u32,
    /// Number of failures without a line.
    more: u64,
}

impl Unread {
    pub(super) fn new(reports: bool) -> Unread {
        Unread {
            reports,
            ids: HashSet::default(),
            window: None,
            lines: 0,
            more: 0,
        }
    }
}

impl Scheduler {
    /// Records a task that is about to fail with `error`.
    #[cold]
    pub(super) fn note_failure(&mut self, task: &Task, error: &Error) {
        let constructs = matches!(task.role(), Some(ActorRole::Constructor));
        if let Some(output) = task.output()
            && !constructs
            && task.stream().is_none()
        {
            self.note_failed(output, error);
        }
    }

    /// Records a result that fails or has failed with `error`.
    pub(super) fn note_failed(&mut self, id: ObjectId, error: &Error) {
        let expected = error.is_cancelled() || error.is_shutdown();
        if !self.unread.reports || expected || self.closed.is_some() {
            return;
        }
        let pending = self.objects.get(id).and_then(Object::pending);
        let followers = pending.and_then(|pending| pending.followers.as_ref());
        let waits = |task| self.tasks.get(task).is_some();
        let heard = followers.is_some_and(|followers| {
            !followers.watchers.is_empty() || followers.dependents.iter().any(|id| waits(*id))
        });
        if !heard {
            self.unread.ids.insert(id);
        }
    }

    /// Records a call that fails at once because an input has failed. Its error reports the failed
    /// input too.
    #[cold]
    pub(super) fn fail_at_once(&mut self, spec: &TaskSpec, error: &Error) {
        for arg in &spec.args {
            arg.for_each_object(|id| self.heard(id));
        }
        self.note_failed(spec.id, error);
    }

    /// Records that a failure was read.
    pub(crate) fn heard(&mut self, id: ObjectId) {
        if !self.unread.ids.is_empty() {
            self.unread.ids.remove(&id);
        }
    }

    /// Reports an object that is about to be freed if its failure is unread.
    #[cold]
    pub(super) fn report_unread(&mut self, id: ObjectId, host: &mut impl Host) {
        if !self.unread.ids.remove(&id) || self.closed.is_some() {
            return;
        }
        let now = host.now();
        let unread = &mut self.unread;
        let over = |began: Instant| now.saturating_duration_since(began) >= WINDOW;
        if unread.window.is_none_or(over) {
            (unread.window, unread.lines) = (Some(now), 0);
            self.report_the_rest(host);
        }
        let unread = &mut self.unread;
        if unread.lines == LINES {
            unread.more += 1;
            return;
        }
        unread.lines += 1;
        if let Some(ObjectState::Failed(error)) = self.objects.get(id).map(|found| &found.state) {
            host.say(format!("a call failed, and nobody has read why: {error}"));
        }
    }

    /// Prints the number of failures without a line.
    pub(super) fn report_the_rest(&mut self, host: &mut impl Host) {
        let more = std::mem::take(&mut self.unread.more);
        if more > 0 {
            host.say(format!(
                "{more} more calls failed, and nobody has read why (`Builder::report_unread_failures`)"
            ));
        }
    }
}
