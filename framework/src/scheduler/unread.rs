//! Failures that nobody has read.
//!
//! A failed result is unread until somebody gets its error: the program, a worker that waits for
//! it, or a call that has it as an argument and fails with it. If its last ref goes before, the
//! user of the program is told, in a line on standard error. Cancelled tasks are no failures, nor
//! is what the end of the runtime cuts. A constructor's failure is that of each call of its actor,
//! and a stream's is read with its items.

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

/// Most lines in this time.
const LINES: u32 = 5;
const WINDOW: Duration = Duration::from_secs(1);

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Unread {
    reports: bool,
    /// Failed results that nobody has read.
    pub(super) ids: HashSet<ObjectId, BuildHasherDefault<NumberHasher>>,
    /// When the first of the latest lines was said, and how many since.
    window: Option<Instant>,
    lines: u32,
    /// How many failures were not said.
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
    /// A task is about to fail with `error`.
    #[cold]
    pub(super) fn note_failure(&mut self, task: &Task, error: &Error) {
        let constructs = matches!(task.role.as_deref(), Some(ActorRole::Constructor));
        if let Some(output) = task.output()
            && !constructs
            && task.stream().is_none()
        {
            self.note_failed(output, error);
        }
    }

    /// The result of a call fails, or has failed, with `error`.
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

    /// A call fails at once, since an input has failed: whoever gets its error hears of that.
    #[cold]
    pub(super) fn fail_at_once(&mut self, spec: &TaskSpec, error: &Error) {
        for arg in &spec.args {
            arg.for_each_object(|id| self.heard(id));
        }
        self.note_failed(spec.id, error);
    }

    /// Somebody has read this failure.
    pub(crate) fn heard(&mut self, id: ObjectId) {
        if !self.unread.ids.is_empty() {
            self.unread.ids.remove(&id);
        }
    }

    /// An object goes that may be an unread failure.
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

    /// Says how many failures were not said.
    pub(super) fn report_the_rest(&mut self, host: &mut impl Host) {
        let more = std::mem::take(&mut self.unread.more);
        if more > 0 {
            host.say(format!(
                "{more} more calls failed, and nobody has read why (`Builder::report_unread_failures`)"
            ));
        }
    }
}
