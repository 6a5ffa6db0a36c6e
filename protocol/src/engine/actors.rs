//! Actors of an engine.

use std::sync::Arc;

use crate::{
    Result, engine::CallArg, ids::FunctionIndex, message::Args, object_handle::ObjectHandle,
    options::ActorOptions,
};

/// An actor that has not been created yet.
#[derive(Clone, Debug)]
pub struct ActorSpec {
    /// Which function makes its value.
    pub constructor: FunctionIndex,
    /// With what.
    pub args: Args<CallArg>,
    /// How it is to be kept.
    pub options: ActorOptions,
}

/// What a process can ask for about actors.
pub trait Actors {
    /// Creates an actor, and gives the handle of its object: whose handles are those of the actor,
    /// and whose outcome is what its constructor made or why there is no actor. Does not block and
    /// does not fail: what is wrong is the outcome.
    fn create(&self, spec: ActorSpec) -> Arc<ObjectHandle>;

    /// The living actor of the name that the options say, or else a new one. However many ask at
    /// the same time, one actor is created.
    ///
    /// # Errors
    /// What is wrong with the call, as far as it is known at once.
    fn get_or_create(&self, spec: ActorSpec) -> Result<Arc<ObjectHandle>>;

    /// The living actor of this name.
    ///
    /// # Errors
    /// There is none (`is_usage`), or the runtime is gone.
    fn named(&self, name: &str) -> Result<Arc<ObjectHandle>>;

    /// Ends an actor at once, and fails its calls. Does nothing if it has ended.
    fn kill(&self, actor: &ObjectHandle);
}
