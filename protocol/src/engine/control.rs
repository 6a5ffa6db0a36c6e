//! The operations on a whole runtime, for the process that started it.

use std::time::Duration;

use crate::{NodeInfo, Result, object_handle::ObjectHandle, progress::TaskProgress};

/// The engine's operations on the whole runtime.
pub trait Control {
    /// Returns the numbers of the store at this moment.
    fn stats(&self) -> Stats;

    /// Returns the ids of the worker processes that run. Empty if workers are no processes.
    fn worker_pids(&self) -> Vec<u32>;

    /// Returns the machines that run calls.
    ///
    /// # Errors
    /// The runtime has ended.
    fn nodes(&self) -> Result<Vec<NodeInfo>> {
        Ok(vec![NodeInfo::of_this_machine()])
    }

    /// Returns the progress of the task that makes this object, if the task runs and reports it.
    fn progress(&self, _: &ObjectHandle) -> Option<TaskProgress> {
        None
    }

    /// Returns whether the runtime refuses further requests.
    fn is_closed(&self) -> bool;

    /// Blocks until no task is unfinished.
    ///
    /// # Errors
    /// The runtime has ended, or ends meanwhile.
    fn wait_idle(&self) -> Result<()>;

    /// Ends the runtime when no task is unfinished any more, or when `limit` has passed.
    ///
    /// # Errors
    /// `is_timeout`: tasks were cut. The message names them if the engine knows them.
    fn shutdown_after(&self, limit: Duration) -> Result<()>;

    /// Ends the runtime now. Does nothing if it has ended.
    fn shutdown(&self);

    /// Ends the runtime like the drop of the last handle: waits for detached tasks, for up to
    /// `detached_grace`.
    fn end(&self);

    /// Returns the name of the runtime.
    fn name(&self) -> &str;
}

/// The numbers of a runtime's store.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// The bytes of all stored objects, each rounded up to the store's granule.
    pub used_bytes: u64,
    /// The number of objects, pending objects included.
    pub objects: usize,
    /// The bytes of memory that the store has taken from the system.
    pub committed_bytes: u64,
    /// The most bytes that the store may take.
    pub capacity_bytes: u64,
}
