//! Refs to actors.

use std::{
    any::type_name,
    fmt,
    future::{Future, poll_fn},
    hash::{Hash, Hasher},
    ops::Deref,
    sync::Arc,
    time::{Duration, Instant},
};

use mobula_protocol::{ObjectHandle, ObjectId, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Actor, ActorHandle, ActorMethods, Instance, lookup};
use crate::{ObjectRef, Runtime, promise::ENGINE};

/// A handle of an actor: what [`ActorCall::spawn`](crate::ActorCall::spawn) returns.
///
/// It has the actor's methods, in their remote form: each makes an
/// [`UnspawnedCall`](crate::UnspawnedCall), which takes the arguments that the method takes as a
/// remote function takes them. Calls of one caller that are alone with the value, or of an actor
/// that runs one call at a time, run in the order in which they are spawned.
///
/// All else is by associated functions, as in `ActorRef::kill(&counter)`, so that the actor's
/// methods may have any name.
///
/// Cloning it is cheap, and it travels as an [`ObjectRef`] does: as an argument, and inside of any
/// serde value that goes through Mobula. With the last handle, in whichever process, and the last
/// call that was spawned before, the actor ends: its value is dropped where it is, and its process
/// ends. Two refs are equal if they are of the same actor.
///
/// # Failures
/// A call of an actor that is dead fails with an error for which
/// [`is_actor_dead()`](crate::Error::is_actor_dead) holds; why the actor is dead is the error's
/// source: the constructor's `Err`, or how its process died. If the actor is to be
/// [restarted](crate::ActorCall::max_restarts), calls that run when its process dies fail with
/// [`is_crash()`](crate::Error::is_crash) unless they have
/// [retries](crate::UnspawnedCall::retries), and those that wait are run by the new process.
///
/// ```
/// use mobula::prelude::*;
///
/// struct Log(Vec<String>);
///
/// #[remote]
/// impl Log {
///     fn new() -> Self {
///         Log(Vec::new())
///     }
///
///     fn write(&mut self, line: &str) -> usize {
///         self.0.push(line.to_owned());
///         self.0.len()
///     }
/// }
///
/// fn both(log: &ActorRef<Log>) -> mobula::Result<usize> {
///     log.write("one").spawn().detach();
///     log.write("two").spawn().get()
/// }
/// # let _ = both;
/// ```
#[must_use = "an actor ends with its last handle: keep it as long as the actor is needed"]
pub struct ActorRef<A: Actor> {
    methods: A::Methods,
}

/// Which actor: a number that no other actor of a runtime has. A restarted actor keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ActorId(ObjectId);

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<A: Actor> ActorRef<A> {
    pub(crate) fn of(handle: ActorHandle) -> ActorRef<A> {
        ActorRef {
            methods: A::Methods::of(handle),
        }
    }

    pub(crate) fn handle(this: &ActorRef<A>) -> &ActorHandle {
        this.methods.handle()
    }

    fn entry(this: &ActorRef<A>) -> &Arc<ObjectHandle> {
        this.methods.handle().entry()
    }

    /// The object as one that can be waited for.
    fn object(this: &ActorRef<A>) -> ObjectRef<Instance<A>> {
        ObjectRef::from_entry(Self::entry(this).clone())
    }

    /// The living actor of this name; the same as [`Runtime::actor`].
    ///
    /// # Errors
    /// As there.
    pub fn get(rt: &Runtime, name: &str) -> Result<ActorRef<A>> {
        lookup::named(rt.engine(), name)
    }

    /// The name that the actor was created with.
    pub fn name(this: &ActorRef<A>) -> Option<&str> {
        this.methods.handle().name()
    }

    /// Which actor it is.
    pub fn id(this: &ActorRef<A>) -> ActorId {
        ActorId(Self::entry(this).id())
    }

    /// Ends the actor now: its process is killed, without running `Drop` of its value, calls that
    /// run or wait fail, and it is not restarted. Its name is free again. Does nothing if the actor
    /// has ended, or could not be created. Does not block.
    pub fn kill(this: &ActorRef<A>) {
        let entry = Self::entry(this);
        if let Some(engine) = entry.engine(ENGINE)
            && let Some(actors) = engine.actors()
            && !mobula_store::is_forked_child()
        {
            actors.kill(entry);
        }
    }

    /// Whether the constructor has ended, well or not. Does not block.
    pub fn is_ready(this: &ActorRef<A>) -> bool {
        Self::entry(this).wait(Some(Instant::now()))
    }

    /// Blocks until the actor has been constructed. No call needs that: calls wait by themselves.
    ///
    /// # Errors
    /// The constructor's `Err`, its panic, or why the actor could not be created; the same is the
    /// source of the error of each call.
    pub fn ready(this: &ActorRef<A>) -> Result<()> {
        Self::object(this).wait()
    }

    /// As [`ready`](Self::ready), for at most this long. A limit of zero looks without waiting.
    ///
    /// # Errors
    /// As for `ready`, and [`is_timeout`](crate::Error::is_timeout) when the limit has passed; the
    /// constructor goes on then.
    pub fn ready_timeout(this: &ActorRef<A>, limit: Duration) -> Result<()> {
        Self::object(this).wait_timeout(limit)
    }

    /// As [`ready`](Self::ready), to be awaited. The future keeps a handle of the actor.
    ///
    /// # Errors
    /// As for `ready`.
    pub fn when_ready(
        this: &ActorRef<A>,
    ) -> impl Future<Output = Result<()>> + Send + Sync + use<A> {
        let object = Self::object(this);
        poll_fn(move |context| object.poll_ready(context))
    }
}

impl<A: Actor> Deref for ActorRef<A> {
    type Target = A::Methods;

    fn deref(&self) -> &A::Methods {
        &self.methods
    }
}

impl<A: Actor> Clone for ActorRef<A> {
    fn clone(&self) -> ActorRef<A> {
        ActorRef::of(Self::handle(self).clone())
    }
}

impl<A: Actor> PartialEq for ActorRef<A> {
    /// Whether both are of the same actor.
    fn eq(&self, other: &ActorRef<A>) -> bool {
        Self::entry(self).is_same_object(Self::entry(other))
    }
}

impl<A: Actor> Eq for ActorRef<A> {}

impl<A: Actor> Hash for ActorRef<A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Self::entry(self).id().hash(state);
    }
}

impl<A: Actor> fmt::Debug for ActorRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorRef<{}>({:?}", type_name::<A>(), Self::entry(self))?;
        if let Some(name) = Self::name(self) {
            write!(f, ", {name:?}")?;
        }
        f.write_str(")")
    }
}

impl<A: Actor> Serialize for ActorRef<A> {
    /// Works for values that go through Mobula only; elsewhere it is an error.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        // The name goes with the ref, so that nobody has to be asked for it.
        (Self::object(self), Self::name(self)).serialize(serializer)
    }
}

impl<'de, A: Actor> Deserialize<'de> for ActorRef<A> {
    /// Works for values that come through Mobula only; elsewhere it is an error.
    fn deserialize<D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<ActorRef<A>, D::Error> {
        let (object, name) = <(ObjectRef<Instance<A>>, Option<String>)>::deserialize(deserializer)?;
        let handle = ActorHandle::new(object.into_entry(), name.as_deref());
        Ok(ActorRef::of(handle))
    }
}
