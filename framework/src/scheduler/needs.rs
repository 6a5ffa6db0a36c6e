//! The needs and the granted resources of a task or an actor.

use std::{cmp::Reverse, sync::Arc};

use mobula_protocol::WorkerId;

use crate::resources::Need;

/// The resources of a task: see the [module](self).
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) need: Arc<Need>,
    /// The task's place in the order of waiting tasks, from the first time that it was ready.
    pub(super) place: Option<Place>,
    /// The number of plain tasks after whose dispatch the task is due.
    pub(super) due: u64,
    pub(super) got: Option<Got>,
}

/// The resources granted to an assigned task.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) worker: WorkerId,
    pub(super) units: GotUnits,
    /// The task waits, and its cores are free.
    pub(super) paused: bool,
}

/// The resources granted to an actor for the life of its process.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) need: Arc<Need>,
    pub(super) units: GotUnits,
}

/// The granted units, by the indices of [`Need::units`].
pub(super) type GotUnits = Vec<Vec<u32>>;

/// The place of a task in the order: by priority, then by depth of calls (deepest first), then by
/// arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) priority: Reverse<i32>,
    /// The number of nested calls that led to this task.
    pub(super) depth: Reverse<u32>,
    /// A unique number.
    pub(super) number: u64,
}

impl Claim {
    /// Makes the claim of a task that holds `got` and has not waited.
    pub(super) fn new(need: Arc<Need>, got: Option<Got>) -> Claim {
        Claim {
            need,
            place: None,
            due: 0,
            got,
        }
    }

    /// Makes the claim of a run that continues beside the next run of its task. The new claim takes
    /// the granted resources.
    pub(super) fn split_off(&mut self) -> Box<Claim> {
        Box::new(Claim::new(self.need.clone(), self.got.take()))
    }
}
