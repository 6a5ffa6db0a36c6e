//! An object, and who waits for it.

use std::sync::{Arc, Weak};

use mobula_protocol::{Error, ObjectHandle, ObjectId, Outcome, Value, WorkerId};

use super::task_table::TaskId;

/// An object. Users of the object are counted here and listed where they rely on it.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) state: ObjectState,
    /// How many places need it to exist; `handles` is part of it.
    pub(super) refs: u64,
    /// Handles of the driver.
    pub(super) handles: u32,
    /// How many places use its bytes where they lie.
    pub(super) pins: u32,
    /// The driver's handle, to be told the end of the task.
    pub(super) entry: Weak<ObjectHandle>,
}

/// How far an object is. It never goes back.
#[derive(Debug)]
pub(super) enum ObjectState {
    Pending(Pending),
    Ready(Arc<Value>),
    Failed(Error),
}

/// An object that is not there yet.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) maker: Maker,
    /// Most objects are waited for by the driver's handle alone, and there can be a million.
    pub(super) followers: Option<Box<Followers>>,
}

/// Where the value of a pending object comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// This task makes it.
    Task(TaskId),
    /// The scheduler answers a request with it: of a [queue](super::queues), or for a
    /// [shared array](super::lending).
    Request,
}

/// Who waits for an object.
#[derive(Debug, Default)]
pub(super) struct Followers {
    /// Tasks, once for each mention. A task that has ended meanwhile is passed over in the end.
    pub(super) dependents: Vec<TaskId>,
    /// Workers that want to be told.
    pub(super) watchers: Vec<WorkerId>,
    /// The objects that its elements are.
    pub(super) elements: Vec<ObjectId>,
}

impl ObjectState {
    /// Of a pending object for which nobody waits.
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

    /// The task that makes it.
    pub(super) fn task(&self) -> Option<TaskId> {
        match self.pending()?.maker {
            Maker::Task(task) => Some(task),
            Maker::Request => None,
        }
    }

    /// Whether the object can go.
    pub(super) fn is_unused(&self) -> bool {
        self.refs == 0 && !matches!(self.state, ObjectState::Pending(_))
    }
}

impl Pending {
    /// Where one more is to be entered who waits for it.
    pub(super) fn more_followers(&mut self) -> &mut Followers {
        self.followers.get_or_insert_default()
    }
}
