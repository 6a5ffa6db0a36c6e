//! The driver's view of the object store.

use std::sync::Arc;

use mobula_protocol::{Error, ObjectHandle, ObjectStore, Payload, Result, Value, WorkerId, put};
use mobula_store::{Block, EnginePromise, Heap, Loc};

use crate::engines::processes::Driver;

impl ObjectStore for Driver {
    fn put(&self, payload: Payload) -> Result<Arc<ObjectHandle>> {
        self.usable()?;
        put(self, payload)
    }

    fn register(&self, value: Value) -> Arc<ObjectHandle> {
        let value = Arc::new(value);
        let registered = self.with(|scheduler, _| {
            let id = scheduler.mint();
            scheduler
                .put(id, value.clone(), WorkerId::DRIVER)
                .map(|()| id)
        });
        match registered {
            Ok(id) => ObjectHandle::new(id, self.as_engine(), Some(Ok(value))),
            Err(violation) => ObjectHandle::failed(Error::internal(violation.to_string())),
        }
    }

    fn block(&self, loc: Loc, lease: Arc<ObjectHandle>, promise: EnginePromise) -> Result<Block> {
        if loc.segment == self.heap.id() {
            Ok(self.heap.block(loc, lease, promise)?)
        } else {
            Ok(self.segments.resolve(loc, lease, promise)?)
        }
    }

    fn heap(&self) -> &Arc<Heap> {
        // The caller may be about to allocate. The memory of the values that were dropped last is
        // most likely in the processor's cache.
        if self.released.any() {
            self.with(|_, _| ());
        }
        &self.heap
    }
}
