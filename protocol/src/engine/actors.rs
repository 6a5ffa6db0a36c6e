//! Actors of an engine.

use std::sync::Arc;

use crate::{
    Result, engine::CallArg, ids::FunctionIndex, message::Args, object_handle::ObjectHandle,
    options::ActorOptions,
};

/// An actor that has not been created yet.
#[derive(Clone, Debug)]
pub struct ActorSpec {
    /// The function that makes the actor's value.
    pub constructor: FunctionIndex,
    /// The arguments of the constructor.
    pub args: Args<CallArg>,
    /// The actor's options.
    pub options: ActorOptions,
}

/// The engine's operations on actors.
pub trait Actors {
    /// Creates an actor and returns the handle of its object. The handles of this object are the
    /// handles of the actor. Its outcome is the constructor's result, or the reason for which there
    /// is no actor. Does not block and does not fail: an error is the outcome.
    fn create(&self, spec: ActorSpec) -> Arc<ObjectHandle>;

    /// Returns the living actor of the name in the options, or else a new one. Concurrent calls for
    /// one name create one actor.
    ///
    /// # Errors
    /// Fails if the call has an error that is known at once.
    fn get_or_create(&self, spec: ActorSpec) -> Result<Arc<ObjectHandle>>;

    /// Returns the living actor of this name.
    ///
    /// # Errors
    /// Fails if there is none (`is_usage`), or if the runtime has ended.
    fn named(&self, name: &str) -> Result<Arc<ObjectHandle>>;

    /// Ends an actor at once, and fails its calls. Does nothing if it has ended.
    fn kill(&self, actor: &ObjectHandle);
}
