//! The object store of an engine.

use std::sync::Arc;

use mobula_store::{Block, EnginePromise, Heap, Loc};

use crate::{
    Result, decoded::Decoded, ids::ObjectId, object_handle::ObjectHandle, payload::Payload,
    value::Value,
};

/// The object store, from the side of one process.
pub trait ObjectStore: Send + Sync {
    /// Makes an object. Copies the bytes into the store unless they are few or lie there already.
    ///
    /// # Errors
    /// Fails if the store is full, or the runtime has ended.
    fn put(&self, payload: Payload) -> Result<Arc<ObjectHandle>>;

    /// Makes an object of a value whose body and attachments are ready to travel. The object takes
    /// over a stored body. Does not block.
    fn register(&self, value: Value) -> Arc<ObjectHandle>;

    /// Returns the readable bytes of a stored value.
    ///
    /// *Pinned while leased*: `lease` keeps the bytes. *One use*: they are no shared memory.
    ///
    /// # Errors
    /// Fails if the location does not exist.
    fn block(&self, loc: Loc, lease: Arc<ObjectHandle>, promise: EnginePromise) -> Result<Block>;

    /// Returns the heap in which this process builds objects.
    fn heap(&self) -> &Arc<Heap>;

    /// Returns the decoded values that this process keeps for its tasks, or `None` if it keeps
    /// none.
    fn decoded(&self) -> Option<&Decoded> {
        None
    }

    /// Records that this process keeps a decoded value of the object. The engine calls
    /// [`Decoded::forget`] when the object is freed.
    fn keeps_decoded(&self, _id: ObjectId) {}
}
