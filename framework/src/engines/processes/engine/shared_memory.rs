//! The driver's requests about shared memory and its locks.

use std::sync::Arc;

use mobula_protocol::{
    Error, Format, ObjectHandle, ObjectId, PartRange, Result, SharedMemory, WorkerId,
    sync::{Ended, ProcessSlot, Sleep},
};
use mobula_store::Region;

use crate::{engines::processes::Driver, promise::ENGINE};

impl SharedMemory for Driver {
    fn region(&self, object: &Arc<ObjectHandle>) -> Result<Region> {
        let (loc, lease) = (object.shared_memory()?, object.clone());
        if loc.segment == self.heap.id() {
            return Ok(self.heap.region(loc, lease, ENGINE)?);
        }
        if !self.writables.contains(loc.segment) {
            let state = self.state.lock();
            if let Some(file) = state.peers.files.get(&loc.segment) {
                self.writables.insert(loc.segment, file)?;
            }
        }
        Ok(self.writables.open(loc, lease, ENGINE)?)
    }

    fn lend(
        &self,
        array: &Arc<ObjectHandle>,
        parts: Vec<PartRange>,
    ) -> Result<Vec<Arc<ObjectHandle>>> {
        self.usable()?;
        let id = array.id();
        self.with(|scheduler, _| {
            let ids = scheduler
                .lend(id, &parts)
                .map_err(|violation| Error::internal(violation.to_string()))??;
            let handle =
                |id: &ObjectId| ObjectHandle::new(*id, self.as_engine(), scheduler.outcome(*id));
            Ok(ids.iter().map(handle).collect())
        })
    }

    fn settle(&self, array: &Arc<ObjectHandle>) -> Arc<ObjectHandle> {
        let array = array.id();
        self.promised(|id, scheduler, _| scheduler.settle(id, array, WorkerId::DRIVER))
    }

    fn seal(&self, array: &Arc<ObjectHandle>, format: Format) -> Arc<ObjectHandle> {
        let array = array.id();
        self.promised(|id, scheduler, peers| {
            scheduler.seal(id, array, format, (WorkerId::DRIVER, None), peers)
        })
    }

    fn process(&self) -> (WorkerId, ProcessSlot) {
        (WorkerId::DRIVER, ProcessSlot::DRIVER)
    }

    fn sleep(&self, sleep: &mut dyn Sleep) -> std::result::Result<(), Ended> {
        // A forked child has no thread that would end the sleep. Perhaps no thread opens the lock
        // in the child.
        if mobula_store::is_forked_child() {
            return Err(Ended);
        }
        self.sleepers.sleep(sleep)
    }

    fn waits(&self, wake_all: fn()) -> std::result::Result<(), Ended> {
        if mobula_store::is_forked_child() {
            return Err(Ended);
        }
        self.sleepers.waits(wake_all)
    }

    fn why_ended(&self) -> Error {
        self.usable().err().unwrap_or_else(Error::shutdown)
    }
}
