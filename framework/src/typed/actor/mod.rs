//! Actors: values that live in a worker process of their own, and whose methods are called from
//! everywhere.
//!
//! An actor is an object to the engine: the object that its constructor makes. The handles of that
//! object are those of the actor, and travel as refs do. The object holds the actor's type only.
//! The value itself is in the process that the constructor ran in.

mod actor_ref;
mod call;
mod keeping;
mod lookup;
mod placement;
mod pool;
mod resources;
mod runtime_api;

use std::{marker::PhantomData, sync::Arc};

use mobula_protocol::{ObjectHandle, TypeTag};

use super::bytes;

pub use actor_ref::{ActorId, ActorRef};
pub use call::ActorCall;
pub use keeping::{Bound, Keeping, concurrent_actor};
pub use pool::{ActorPool, PoolMap, PoolMapUnordered};

#[cfg(test)]
pub(crate) use lookup::{get_or_create, named};

/// A type that lives in a worker process of its own, as a value whose methods are called remotely.
///
/// [`#[remote]`](crate::remote) on the type's `impl` block implements it. There is nothing to
/// implement by hand. A method with `&mut self` is alone with the value while it runs. Methods with
/// `&self` may run at the same time, if [`max_concurrency`](ActorCall::max_concurrency) is more
/// than one.
///
/// # Types that are not `Send + Sync`
///
/// An actor without concurrency may hold an `Rc`, a `RefCell`, or the handle of a C library. Its
/// value lives on one thread: the constructor, all methods and `Drop` run there. Calls run one at a
/// time, each from its beginning to its end. Options for concurrency, and groups, need a type that
/// is `Send + Sync`.
///
/// # A method that calls its own actor
///
/// The call begins when the method has returned, so the method must not wait for it. A `get` of its
/// result in a method with `&mut self` is an error ([`is_usage`](crate::Error::is_usage)). So is a
/// `get` in any method of an actor whose type is not `Send + Sync`. The call itself runs later.
///
/// Other circles are not found, and wait until a limit of time passes:
///
/// * an `.await` in place of the `get`;
/// * a `&self` method of an actor whose `max_concurrency` is used up;
/// * a task between the two calls;
/// * two actors that wait for each other.
///
/// # Examples
/// ```
/// use mobula::prelude::*;
///
/// struct Counter {
///     n: u64,
/// }
///
/// #[remote]
/// impl Counter {
///     fn new(start: u64) -> Self {
///         Counter { n: start }
///     }
///
///     fn add(&mut self, n: u64) -> u64 {
///         self.n += n;
///         self.n
///     }
/// }
///
/// #[mobula::main]
/// fn main() -> mobula::Result<()> {
///     let rt = Runtime::builder().workers(1).start()?;
///     let counter = rt.spawn_actor(Counter::remote(5));
///     assert_eq!(counter.add(2).spawn().get()?, 7);
///     assert_eq!(counter.add(3).spawn().get()?, 10);
///     // The type itself stays an ordinary one.
///     assert_eq!(Counter::new(1).add(2), 3);
///     Ok(())
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an actor",
    label = "has no remote `impl` block",
    note = "put `#[remote]` on the `impl` block that has its constructor `fn new(..) -> Self` and its methods"
)]
pub trait Actor: Sized + 'static {
    /// The methods of a ref. Not public API.
    #[doc(hidden)]
    type Methods: ActorMethods;

    /// The groups that its methods are in. Not public API.
    #[doc(hidden)]
    const GROUPS: &'static [&'static str];
}

/// The type that has an actor's methods in their remote form. It has no other methods, so that an
/// actor's may have all names. Not public API.
pub trait ActorMethods: Send + Sync + 'static {
    /// The methods of this actor.
    fn of(handle: ActorHandle) -> Self;

    /// The actor whose methods these are.
    fn handle(&self) -> &ActorHandle;
}

/// An actor, whatever its type. Not public API.
#[derive(Clone, Debug)]
pub struct ActorHandle {
    entry: Arc<ObjectHandle>,
    name: Option<Arc<str>>,
}

impl ActorHandle {
    pub(crate) fn new(entry: Arc<ObjectHandle>, name: Option<&str>) -> ActorHandle {
        ActorHandle {
            entry,
            name: name.map(Arc::from),
        }
    }

    /// Returns the object that the constructor makes.
    pub(crate) fn entry(&self) -> &Arc<ObjectHandle> {
        &self.entry
    }

    /// Returns the name that the actor was created with.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// Stands for the value of an `A` that is an actor, which no process can get.
pub(crate) struct Instance<A>(PhantomData<fn() -> A>);

/// Returns the tag of the object that stands for an actor.
pub(crate) fn tag<A: Actor>() -> TypeTag {
    bytes::tag::<Instance<A>>()
}
