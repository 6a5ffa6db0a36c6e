//! Where an engine keeps objects.

use std::sync::Arc;

use mobula_store::{Block, EnginePromise, Heap, Loc};

use crate::{
    Result, decoded::Decoded, ids::ObjectId, object_handle::ObjectHandle, payload::Payload,
    value::Value,
};

/// The object store, as one process sees it.
pub trait ObjectStore: Send + Sync {
    /// Makes an object. Copies the bytes into the store unless they are small or lie there.
    ///
    /// # Errors
    /// The store is full, or the runtime is gone.
    fn put(&self, payload: Payload) -> Result<Arc<ObjectHandle>>;

    /// Makes an object of a value whose body and items are ready to travel. The object takes over
    /// a stored body. Does not block.
    fn register(&self, value: Value) -> Arc<ObjectHandle>;

    /// The readable bytes of a stored value.
    ///
    /// *Pinned while leased*: `lease` keeps them. *One use*: they are no shared memory.
    ///
    /// # Errors
    /// The location does not exist.
    fn block(&self, loc: Loc, lease: Arc<ObjectHandle>, promise: EnginePromise) -> Result<Block>;

    /// Where this process builds objects.
    fn heap(&self) -> &Arc<Heap>;

    /// The decoded values that this process keeps for its tasks; `None` where none are kept.
    fn decoded(&self) -> Option<&Decoded> {
        None
    }

    /// A decoded value of the object is kept: [`Decoded::forget`] is to be called when the object
    /// is freed.
    fn keeps_decoded(&self, _id: ObjectId) {}
}
