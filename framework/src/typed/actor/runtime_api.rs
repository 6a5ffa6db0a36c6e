//! What a runtime does with actors.

use mobula_protocol::Result;

use super::{Actor, ActorCall, ActorRef, lookup};
use crate::Runtime;

impl Runtime {
    /// Creates an actor on this runtime; the same as [`ActorCall::spawn`] where there is only one.
    /// Does not block.
    ///
    /// If one of the arguments is a ref of another runtime, the actor's calls fail with an error
    /// that says so.
    pub fn spawn_actor<A: Actor>(&self, call: ActorCall<A>) -> ActorRef<A> {
        call.spawn_on(self.engine())
    }

    /// The living actor of the call's name on this runtime, or else a new one; the same as
    /// [`ActorCall::get_or_create`] where there is only one runtime.
    ///
    /// # Errors
    /// As there.
    pub fn get_or_create_actor<A: Actor>(&self, call: ActorCall<A>) -> Result<ActorRef<A>> {
        lookup::get_or_create(self.engine(), call)
    }

    /// The living actor of this [name](ActorCall::name). Blocks until it has been constructed.
    ///
    /// # Errors
    /// `is_usage()`: there is no such actor. `is_type_mismatch()`: it is of another type. Otherwise
    /// why its constructor failed, or `is_shutdown()`.
    pub fn actor<A: Actor>(&self, name: &str) -> Result<ActorRef<A>> {
        lookup::named(self.engine(), name)
    }
}
