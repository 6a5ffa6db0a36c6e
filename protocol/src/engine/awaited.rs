//! The things that a thread can wait for.

use std::{sync::Arc, task::Waker};

use crate::object_handle::ObjectHandle;

/// A thing that a thread can wait for.
pub trait Awaited {
    /// Returns whether the wait is over. Callers ask very often.
    fn is_known(&self) -> bool;

    /// Leaves a waker for the end of the wait. Returns `false` if the wait is over.
    fn subscribe(&self, waker: &Waker) -> bool;

    /// Calls `f` with each handle that the wait may depend on.
    fn for_each_entry(&self, f: &mut dyn FnMut(&ObjectHandle));

    /// Returns the handle if the thread waits for the outcome of one handle only.
    fn only_entry(&self) -> Option<&ObjectHandle> {
        None
    }
}

impl Awaited for ObjectHandle {
    fn is_known(&self) -> bool {
        self.outcome().is_some()
    }

    fn subscribe(&self, waker: &Waker) -> bool {
        ObjectHandle::subscribe(self, waker)
    }

    fn for_each_entry(&self, f: &mut dyn FnMut(&ObjectHandle)) {
        f(self);
    }

    fn only_entry(&self) -> Option<&ObjectHandle> {
        Some(self)
    }
}

/// The wait ends when one of the handles has an outcome.
impl Awaited for Vec<Arc<ObjectHandle>> {
    fn is_known(&self) -> bool {
        self.iter().any(|entry| entry.is_known())
    }

    fn subscribe(&self, waker: &Waker) -> bool {
        self.iter()
            .all(|entry| ObjectHandle::subscribe(entry, waker))
    }

    fn for_each_entry(&self, f: &mut dyn FnMut(&ObjectHandle)) {
        self.iter().for_each(|entry| f(entry));
    }
}
