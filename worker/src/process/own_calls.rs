//! Calls that a method makes of its own actor. If the method has the value alone, such a call
//! cannot begin before the method returns. So the method must not wait for the call.

use std::{
    cell::{Cell, RefCell},
    sync::OnceLock,
};

use super::worker::Worker;
use crate::link::Link;
use mobula_protocol::{Awaited, Error, ObjectId, RemoteFn, Role};

thread_local! {
    /// The method that this thread runs.
    static METHOD: Cell<Option<&'static RemoteFn>> = const { Cell::new(None) };
    /// Whether `CALLS` is not empty. Most methods make no such call, and a value without a
    /// destructor costs less to look at.
    static ANY_CALLS: Cell<bool> = const { Cell::new(false) };
    /// The calls of its own actor that the method of this thread has made.
    static CALLS: RefCell<Vec<ObjectId>> = const { RefCell::new(Vec::new()) };
}

/// The actor that the process is, once that is known.
#[derive(Debug, Default)]
pub(super) struct OwnActor(OnceLock<ObjectId>);

/// While this lives, the thread runs a method.
pub(super) struct InMethod(());

impl InMethod {
    pub(super) fn enter(method: &'static RemoteFn) -> InMethod {
        METHOD.set(Some(method));
        InMethod(())
    }
}

impl Drop for InMethod {
    fn drop(&mut self) {
        METHOD.set(None);
        if ANY_CALLS.take() {
            // While the thread is torn down, `CALLS` does not exist.
            let _ = CALLS.try_with(|calls| calls.borrow_mut().clear());
        }
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
        if self.0.get() == Some(&actor)
            && METHOD.get().is_some()
            && CALLS
                .try_with(|calls| calls.borrow_mut().push(result))
                .is_ok()
        {
            ANY_CALLS.set(true);
        }
    }
}

impl<L: Link> Worker<L> {
    /// Returns an error if this thread would wait for ever. That is so if all awaited objects are
    /// results of calls that begin when the thread's method has returned.
    pub(super) fn waits_for_itself(&self, what: &dyn Awaited) -> Option<Error> {
        let method = METHOD.get()?;
        if !ANY_CALLS.get() {
            return None;
        }
        let (mut any, mut own) = (false, true);
        CALLS
            .try_with(|calls| {
                let calls = calls.borrow();
                what.for_each_entry(&mut |entry| {
                    any = true;
                    own &= calls.contains(&entry.id());
                });
            })
            .ok()?;
        if !(any && own) {
            return None;
        }
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
