//! What a task with resources needs, and what it has got.

use std::{cmp::Reverse, sync::Arc};

use mobula_protocol::WorkerId;

use crate::resources::Need;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) need: Arc<Need>,
    /// Where it stands among those that wait, from the first time on that it could run.
    pub(super) place: Option<Place>,
    /// It is its turn when this many plain tasks have been handed out.
    pub(super) due: u64,
    pub(super) got: Option<Got>,
}

/// What a task has got with which a worker was given it.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) worker: WorkerId,
    pub(super) units: GotUnits,
    /// It waits, and its cores are free.
    pub(super) paused: bool,
}

/// What an actor has got, as long as its process lives.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) need: Arc<Need>,
    pub(super) units: GotUnits,
}

/// Units that a task or an actor has got, by their places in its [`Need::units`].
pub(super) type GotUnits = Vec<Vec<u32>>;

/// The place of a task in the order: the highest priority first, then what the innermost task has
/// called, then what came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) priority: Reverse<i32>,
    /// How many tasks have called one another to call this one.
    pub(super) depth: Reverse<u32>,
    /// No two tasks have the same.
    pub(super) number: u64,
}

impl Claim {
    /// That of a task that has got this, and has not waited.
    pub(super) fn new(need: Arc<Need>, got: Option<Got>) -> Claim {
        Claim {
            need,
            place: None,
            due: 0,
            got,
        }
    }

    /// That of a run that goes on beside the next one of its task. It has got what this has.
    pub(super) fn split_off(&mut self) -> Box<Claim> {
        Box::new(Claim::new(self.need.clone(), self.got.take()))
    }
}
