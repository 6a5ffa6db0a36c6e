//! Memory that processes of an engine write together, and the locks in it.

use std::sync::Arc;

use mobula_store::Region;

use crate::{
    Error, Result,
    ids::WorkerId,
    object_handle::ObjectHandle,
    sync::{Ended, ProcessSlot, Sleep},
    value::{Format, PartRange},
};

/// What a process can ask for about shared memory.
pub trait SharedMemory {
    /// The shared memory that an object stands for, writable in this process. May wait for a
    /// descriptor of the driver's.
    ///
    /// # Errors
    /// The object is not shared memory ([`ObjectHandle::shared_memory`]), or its location does not
    /// exist.
    fn region(&self, object: &Arc<ObjectHandle>) -> Result<Region>;

    /// Lends parts of a shared array, each as an object of format [`Part`](Format::Part). A part is
    /// back when nobody has its object any more. In a task this waits for the driver.
    ///
    /// # Errors
    /// They overlap, with one another or with what is lent, or are not in the array.
    fn lend(
        &self,
        array: &Arc<ObjectHandle>,
        parts: Vec<PartRange>,
    ) -> Result<Vec<Arc<ObjectHandle>>>;

    /// An object that is ready when all parts of the array are back: the incomplete parts, as
    /// `Vec<IncompleteRange>`. Does not block.
    fn settle(&self, array: &Arc<ObjectHandle>) -> Arc<ObjectHandle>;

    /// The object that a shared array turns into, once no process has it writable any more. It
    /// fails if there are other handles of the array, or parts that are lent. Does not block.
    fn seal(&self, array: &Arc<ObjectHandle>, format: Format) -> Arc<ObjectHandle>;

    /// Who this process is among those of its runtime.
    fn process(&self) -> (WorkerId, ProcessSlot);

    /// Sleeps in the queue of a lock. In a task, others run on the worker during the sleep.
    ///
    /// # Errors
    /// The runtime has ended: there may be nobody left who wakes this thread. Or the task of this
    /// thread is cancelled.
    fn sleep(&self, sleep: &mut dyn Sleep) -> std::result::Result<(), Ended>;

    /// A future is about to wait for a lock. `wake_all` is called when the runtime ends; it has all
    /// futures of this process look again.
    ///
    /// # Errors
    /// The runtime has ended: there may be nobody left who wakes the future.
    fn waits(&self, _wake_all: fn()) -> std::result::Result<(), Ended> {
        Ok(())
    }

    /// Why [`sleep`](SharedMemory::sleep) or [`waits`](SharedMemory::waits) has failed. In a
    /// cancelled task this does not return, but unwinds.
    fn why_ended(&self) -> Error {
        Error::shutdown()
    }
}
