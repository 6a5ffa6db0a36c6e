//! A worker's view of the object store.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mobula_store::{Block, EnginePromise, Heap, Loc, SegmentId};

use crate::{
    link::{Link, Out},
    process::worker::Worker,
};
use mobula_protocol::{
    Decoded, Error, ObjectHandle, ObjectId, ObjectStore, Payload, Result, Value,
    message::FromWorker, put,
};

/// How long a segment's descriptor may take from the driver. The driver sends the descriptor before
/// the message that names the segment.
const SEGMENT_PATIENCE: Duration = Duration::from_secs(10);

impl<L: Link> ObjectStore for Worker<L> {
    fn put(&self, payload: Payload) -> Result<Arc<ObjectHandle>> {
        self.usable()?;
        put(self, payload)
    }

    fn register(&self, value: Value) -> Arc<ObjectHandle> {
        if let Err(error) = self.usable() {
            return ObjectHandle::failed(error);
        }
        let id = self.mint();
        let value = Arc::new(value);
        let mut table = self.table.lock();
        let entry = table.handle(id, true, || {
            ObjectHandle::new(id, self.as_engine(), Some(Ok(value.clone())))
        });
        table.out.push(&FromWorker::Put { id, value });
        drop(table);
        entry
    }

    fn block(&self, loc: Loc, lease: Arc<ObjectHandle>, promise: EnginePromise) -> Result<Block> {
        if loc.segment == self.heap.id() {
            return Ok(self.heap.block(loc, lease, promise)?);
        }
        match self.segments.find(loc.segment) {
            Some(mapped) => Ok(mapped.resolve(loc, lease, promise)?),
            None => {
                self.await_segment(loc.segment, || self.segments.contains(loc.segment))?;
                Ok(self.segments.resolve(loc, lease, promise)?)
            }
        }
    }

    fn decoded(&self) -> Option<&Decoded> {
        Some(&self.decoded)
    }

    fn keeps_decoded(&self, id: ObjectId) {
        self.table.lock().out.push(&FromWorker::Decoded(id));
    }

    fn heap(&self) -> &Arc<Heap> {
        &self.heap
    }
}

impl<L: Link> Worker<L> {
    /// Blocks until a descriptor that the driver has sent has come through the socket.
    pub(super) fn await_segment(&self, id: SegmentId, came: impl Fn() -> bool) -> Result<()> {
        if came() {
            return Ok(());
        }
        let deadline = Instant::now() + SEGMENT_PATIENCE;
        let mut failed = self.failed_segments.lock();
        while !came() {
            if let Some(why) = failed.get(&id) {
                return Err(Error::internal(format!("{id} could not be mapped: {why}")));
            }
            if self
                .segment_arrived
                .wait_until(&mut failed, deadline)
                .timed_out()
            {
                return Err(Error::internal(format!(
                    "segment {id} did not arrive from the driver within {SEGMENT_PATIENCE:?}"
                )));
            }
        }
        Ok(())
    }
}
