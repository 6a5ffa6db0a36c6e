//! Calls that a method makes of its own actor. If the method has the value alone, such a call
//! cannot begin before the method returns. So the method must not wait for the call.

use std::{cell::RefCell, sync::OnceLock};

use super::worker::Worker;
use crate::link::Link;
use mobula_protocol::{Awaited, Error, ObjectId, RemoteFn, Role};

/// The method that a thread runs.
struct Run {
    method: &'static RemoteFn,
    /// The calls of its own actor that the method has made.
    calls: Vec<ObjectId>,
}

thread_local! {
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
}

/// The actor that the process is, once that is known.
#[derive(Debug, Default)]
pub(super) struct OwnActor(OnceLock<ObjectId>);

/// While this lives, the thread runs a method.
pub(super) struct InMethod(());

impl InMethod {
    pub(super) fn enter(method: &'static RemoteFn) -> InMethod {
        let calls = Vec::new();
        RUN.set(Some(Run { method, calls }));
        InMethod(())
    }
}

impl Drop for InMethod {
    fn drop(&mut self) {
        RUN.set(None);
    }
}

impl OwnActor {
    pub(super) fn set(&self, actor: ObjectId) {
        let _ = self.0.set(actor);
    }

    /// Whether the process is an actor, or is about to become one.
    pub(super) fn is_known(&self) -> bool {
        self.0.get().is_some()
    }

    /// Notes that the process has called `actor`.
    pub(super) fn called(&self, actor: ObjectId, result: ObjectId) {
        if self.0.get() == Some(&actor) {
            with_run(|run| run.calls.push(result));
        }
    }
}

impl<L: Link> Worker<L> {
    /// Returns an error if this thread would wait for ever. That is so if all awaited objects are
    /// results of calls that begin when the thread's method has returned.
    pub(super) fn waits_for_itself(&self, what: &dyn Awaited) -> Option<Error> {
        let method = with_run(|run| {
            let (mut any, mut own) = (false, true);
            what.for_each_entry(&mut |entry| {
                any = true;
                own &= run.calls.contains(&entry.id());
            });
            (any && own).then_some(run.method)
        })??;
        let alone = matches!(
            method.role,
            Role::Method {
                exclusive: true,
                ..
            }
        );
        if !alone && !self.actor.is_bound() {
            return None;
        }
        let name = method.name;
        Some(Error::usage(format!(
            "`{name}` waits for a call of its own actor, which begins when `{name}` has returned: both would \
             wait for ever; return the ref and let the caller wait, or call the method directly"
        )))
    }
}

/// Calls `f` with the method that this thread runs, if it runs one.
fn with_run<R>(f: impl FnOnce(&mut Run) -> R) -> Option<R> {
    // While the thread is torn down, `RUN` does not exist.
    let run = RUN.try_with(|run| run.borrow_mut().as_mut().map(f));
    run.ok().flatten()
}
