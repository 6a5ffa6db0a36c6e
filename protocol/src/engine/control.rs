//! The runtime as a whole, for the process that started it.

use std::time::Duration;

use crate::{NodeInfo, Result, object_handle::ObjectHandle, progress::TaskProgress};

/// What the owner of a runtime can ask for.
pub trait Control {
    /// What there is at the moment.
    fn stats(&self) -> Stats;

    /// The processes of the workers that run, by their ids. Empty where workers are no processes.
    fn worker_pids(&self) -> Vec<u32>;

    /// The machines that run calls.
    ///
    /// # Errors
    /// The runtime has ended.
    fn nodes(&self) -> Result<Vec<NodeInfo>> {
        Ok(vec![NodeInfo::of_this_machine()])
    }

    /// How far the task is that makes this object, if it runs and says so.
    fn progress(&self, _: &ObjectHandle) -> Option<TaskProgress> {
        None
    }

    /// Whether nothing is accepted any more.
    fn is_closed(&self) -> bool;

    /// Blocks until no task is unfinished.
    ///
    /// # Errors
    /// The runtime ends meanwhile.
    fn wait_idle(&self) -> Result<()>;

    /// Ends the runtime when no task is unfinished any more, or when this time has passed.
    ///
    /// # Errors
    /// `is_timeout`: tasks were cut, which the message names.
    fn shutdown_after(&self, limit: Duration) -> Result<()>;

    /// Ends the runtime now. Does nothing if it has ended.
    fn shutdown(&self);

    /// Ends the runtime as the drop of the last handle does: waits for detached tasks, within a
    /// limit.
    fn end(&self);

    /// The name of the runtime.
    fn name(&self) -> &str;
}

/// Figures of a runtime.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Bytes of all stored objects, each rounded up to the store's granule.
    pub used_bytes: u64,
    /// Objects, pending ones included.
    pub objects: usize,
    /// Bytes of memory that the store has taken from the system.
    pub committed_bytes: u64,
    /// The most that it may take.
    pub capacity_bytes: u64,
}
