//! What a thread can wait for.

use std::{sync::Arc, task::Waker};

use crate::object_handle::ObjectHandle;

/// What a thread can wait for.
pub trait Awaited {
    /// Whether it is there. Asked very often.
    fn is_known(&self) -> bool;

    /// Leaves a waker for when it is, unless it is there: then `false`.
    fn subscribe(&self, waker: &Waker) -> bool;

    /// Calls `f` with each entry that it may depend on.
    fn for_each_entry(&self, f: &mut dyn FnMut(&ObjectHandle));

    /// Returns the entry, if the outcome of one entry is all that the thread waits for.
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

/// One of several.
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
