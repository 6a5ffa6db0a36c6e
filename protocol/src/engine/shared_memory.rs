//! Memory that the processes of an engine write together, and the locks in it.

use std::sync::Arc;

use mobula_store::Region;

use crate::{
    Error, Result,
    ids::WorkerId,
    object_handle::ObjectHandle,
    sync::{Ended, ProcessSlot, Sleep},
    value::{Format, PartRange},
};

/// The engine's operations on shared memory.
pub trait SharedMemory {
    /// Returns the shared memory that an object stands for, writable in this process. May wait for
    /// a descriptor from the driver.
    ///
    /// # Errors
    /// Fails if the object is not shared memory ([`ObjectHandle::shared_memory`]), or if its
    /// location does not exist.
    fn region(&self, object: &Arc<ObjectHandle>) -> Result<Region>;

    /// Lends parts of a shared array. Each becomes an object of format [`Part`](Format::Part). A
    /// part is back when no process has a handle of its object any more. In a task this waits for
    /// the driver.
    ///
    /// # Errors
    /// Fails if a part is not in the array, or overlaps another one or a part that is lent.
    fn lend(
        &self,
        array: &Arc<ObjectHandle>,
        parts: Vec<PartRange>,
    ) -> Result<Vec<Arc<ObjectHandle>>>;

    /// Returns an object that is ready when all parts of the array are back. Its value is the
    /// incomplete parts, a `Vec<IncompleteRange>`. Does not block.
    fn settle(&self, array: &Arc<ObjectHandle>) -> Arc<ObjectHandle>;

    /// Returns the object that a shared array turns into. It is ready when no process has the array
    /// writable any more. It fails if the array has other handles, or parts that are lent. Does not
    /// block.
    fn seal(&self, array: &Arc<ObjectHandle>, format: Format) -> Arc<ObjectHandle>;

    /// Returns the worker id and the process slot of this process.
    fn process(&self) -> (WorkerId, ProcessSlot);

    /// Sleeps in the queue of a lock. In a task, others run on the worker during the sleep.
    ///
    /// # Errors
    /// Fails if the runtime has ended, since then there may be no process that wakes this thread.
    /// Fails if the task of this thread is cancelled.
    fn sleep(&self, sleep: &mut dyn Sleep) -> std::result::Result<(), Ended>;

    /// Announces that a future is about to wait for a lock. The engine calls `wake_all` when the
    /// runtime ends. `wake_all` makes all futures of this process check again.
    ///
    /// # Errors
    /// Fails if the runtime has ended, since then there may be no process that wakes the future.
    fn waits(&self, _wake_all: fn()) -> std::result::Result<(), Ended> {
        Ok(())
    }

    /// Returns the reason for which [`sleep`](SharedMemory::sleep) or
    /// [`waits`](SharedMemory::waits) has failed. In a cancelled task this does not return, but
    /// unwinds.
    fn why_ended(&self) -> Error {
        Error::shutdown()
    }
}
