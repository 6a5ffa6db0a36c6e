//! The inline engine's `ObjectStore`: one heap of this process holds all objects.

use std::sync::Arc;

use mobula_protocol::{
    Body, Decoded, Engine, ObjectHandle, ObjectStore, Payload, Result, Value, put,
};
use mobula_store::{Block, EnginePromise, Heap, Loc};

use super::Inline;

impl ObjectStore for Inline {
    fn put(&self, payload: Payload) -> Result<Arc<ObjectHandle>> {
        self.usable()?;
        put(self, payload)
    }

    fn register(&self, value: Value) -> Arc<ObjectHandle> {
        let keep = value.nested().map(|id| self.handle(id, None)).collect();
        let owns = match value.body {
            Body::Stored(loc) => Some(loc),
            Body::Inline(_) => None,
        };
        self.add(Some(Ok(Arc::new(value))), keep, owns)
    }

    fn block(&self, loc: Loc, lease: Arc<ObjectHandle>, promise: EnginePromise) -> Result<Block> {
        Ok(self.heap.block(loc, lease, promise)?)
    }

    fn heap(&self) -> &Arc<Heap> {
        &self.heap
    }

    fn decoded(&self) -> Option<&Decoded> {
        Some(&self.decoded)
    }
}
