//! The scheduler's record of an object and of its followers.

use std::sync::{Arc, Weak};

use mobula_protocol::{Error, ObjectHandle, ObjectId, Outcome, Value, WorkerId};

use super::task_table::TaskId;

/// An object. The counters tell when the scheduler can free the object or its bytes.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) state: ObjectState,
    /// Number of places that need the object to exist. The count includes `handles`.
    pub(super) refs: u64,
    /// Number of the driver's handles.
    pub(super) handles: u32,
    /// Number of places that use the bytes in shared memory without a copy.
    pub(super) pins: u32,
    /// The driver's handle, which the end of the task completes.
    pub(super) entry: Weak<ObjectHandle>,
}

/// The state of an object. `Ready` and `Failed` are final.
#[derive(Debug)]
pub(super) enum ObjectState {
    Pending(Pending),
    Ready(Arc<Value>),
    Failed(Error),
}

/// An object without an outcome.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) maker: Maker,
    /// `None` without followers. The box keeps the record small: there can be a million objects.
    pub(super) followers: Option<Box<Followers>>,
}

/// The source of a pending object's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// The task computes the value.
    Task(TaskId),
    /// The scheduler answers a request: of a [queue](super::queues), for a [shared
    /// array](super::lending), or for the end of [abandoned tasks](super::abandoned).
    Request,
}

/// The tasks and workers that wait for an object.
#[derive(Debug, Default)]
pub(super) struct Followers {
    /// Tasks, once for each mention of the object. The scheduler skips tasks that have ended.
    pub(super) dependents: Vec<TaskId>,
    /// Workers that asked for a message about the outcome.
    pub(super) watchers: Vec<WorkerId>,
    /// The objects that stand for the elements of this object's value.
    pub(super) elements: Vec<ObjectId>,
}

impl ObjectState {
    /// Returns the state of a pending object without followers.
    pub(super) fn pending(maker: Maker) -> ObjectState {
        ObjectState::Pending(Pending {
            maker,
            followers: None,
        })
    }
}

impl Object {
    pub(super) fn outcome(&self) -> Option<Outcome> {
        match &self.state {
            ObjectState::Pending(_) => None,
            ObjectState::Ready(value) => Some(Ok(Arc::clone(value))),
            ObjectState::Failed(error) => Some(Err(error.clone())),
        }
    }

    pub(super) fn value(&self) -> Option<&Arc<Value>> {
        match &self.state {
            ObjectState::Ready(value) => Some(value),
            _ => None,
        }
    }

    pub(super) fn pending(&self) -> Option<&Pending> {
        match &self.state {
            ObjectState::Pending(pending) => Some(pending),
            _ => None,
        }
    }

    pub(super) fn pending_mut(&mut self) -> Option<&mut Pending> {
        match &mut self.state {
            ObjectState::Pending(pending) => Some(pending),
            _ => None,
        }
    }

    /// Returns the task that makes the pending object.
    pub(super) fn task(&self) -> Option<TaskId> {
        match self.pending()?.maker {
            Maker::Task(task) => Some(task),
            Maker::Request => None,
        }
    }

    /// Returns whether the object can be freed.
    pub(super) fn is_unused(&self) -> bool {
        self.refs == 0 && !matches!(self.state, ObjectState::Pending(_))
    }
}

impl Pending {
    /// Returns the followers for an addition.
    pub(super) fn more_followers(&mut self) -> &mut Followers {
        self.followers.get_or_insert_default()
    }
}
