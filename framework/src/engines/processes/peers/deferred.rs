//! The effects of a step that follow after the lock is released.

use std::time::{Duration, Instant};

use mobula_protocol::{Attempt, WorkerId};

use super::Completion;

/// The effects of one step.
#[derive(Debug)]
pub(in crate::engines::processes) struct Deferred {
    pub(in crate::engines::processes) completions: Completions,
    pub(in crate::engines::processes) seldom: Option<Box<Seldom>>,
}

/// Handles to complete.
#[derive(Debug)]
pub(in crate::engines::processes) enum Completions {
    None,
    /// The usual case: a thread waits for the handle.
    One(Completion),
    Many(Vec<Completion>),
}

/// The effects that most steps do not have. They are in memory of their own, so a step that only
/// completes objects does not move and test all of them.
#[derive(Debug, Default)]
pub(in crate::engines::processes) struct Seldom {
    /// Workers that the driver kills, and the reasons.
    pub(in crate::engines::processes) to_kill: Vec<(WorkerId, String)>,
    /// Runs that have not ended in time, on workers that cannot be killed.
    pub(in crate::engines::processes) runs_to_end: Vec<(WorkerId, Attempt, String)>,
    /// Number of workers that have registered.
    pub(in crate::engines::processes) registrations: usize,
    /// Number of workers to start.
    pub(in crate::engines::processes) to_start: usize,
    /// Workers that must end within this time.
    pub(in crate::engines::processes) ends: Vec<(WorkerId, Duration)>,
    /// The time at which the scheduler wants to be called again.
    pub(in crate::engines::processes) wake_at: Option<Instant>,
    /// Lines for the user of the program.
    pub(in crate::engines::processes) said: Vec<String>,
}
