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

/// A handle of an actor. [`ActorCall::spawn`](crate::ActorCall::spawn) returns it.
///
/// It has the actor's methods in their remote form. Each makes an
/// [`UnspawnedCall`](crate::UnspawnedCall), and takes the arguments as a remote function does.
/// Calls of one caller run in the order of their spawns, if the actor runs one call at a time.
/// Calls that are alone with the value do so, too.
///
/// All else is an associated function, as in `ActorRef::kill(&counter)`. So the actor's methods may
/// have any name.
///
/// Cloning it is cheap. It travels as an [`ObjectRef`] does: as an argument, and inside of any
/// serde value that goes through Mobula. The actor ends with its last handle, in whichever process,
/// and the last call that was spawned before. Then its value is dropped where it is, and its
/// process ends. Two refs are equal if they are of the same actor.
///
/// # Failures
///
/// A call of a dead actor fails with an error for which
/// [`is_actor_dead()`](crate::Error::is_actor_dead) holds. The error's source says why the actor is
/// dead: the constructor's `Err`, or how its process died.
///
/// An actor may be [restarted](crate::ActorCall::max_restarts) when its process dies. Then the
/// calls that run fail with [`is_crash()`](crate::Error::is_crash), unless they have
/// [retries](crate::UnspawnedCall::retries). The new process runs the calls that wait.
///
/// # Examples
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
/// #[remote]
/// fn work(log: ActorRef<Log>, n: u32) {
///     log.write(format!("item {n}")).spawn().detach();
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let log = rt.spawn_actor(Log::remote());
/// rt.get(rt.spawn_all((0..3).map(|n| work::remote(&log, n))))?;
/// assert_eq!(log.write("the end").spawn().get()?, 4);
/// # Ok(())
/// # }
/// ```
#[must_use = "an actor ends with its last handle: keep it as long as the actor is needed"]
pub struct ActorRef<A: Actor> {
    methods: A::Methods,
}

/// The identity of an actor: a number that no other actor of a runtime has. A restarted actor keeps
/// it.
///
/// # Examples
/// ```
/// use mobula::{ActorId, prelude::*};
/// # struct Counter(u64);
/// #
/// # #[remote]
/// # impl Counter {
/// #     fn new(start: u64) -> Self {
/// #         Counter(start)
/// #     }
/// #
/// #     fn add(&mut self, n: u64) -> u64 {
/// #         self.0 += n;
/// #         self.0
/// #     }
/// # }
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let (one, two) = (rt.spawn_actor(Counter::remote(0)), rt.spawn_actor(Counter::remote(0)));
/// let ids: [ActorId; 2] = [ActorRef::id(&one), ActorRef::id(&two)];
/// assert_ne!(ids[0], ids[1]);
/// println!("the actors {} and {}", ids[0], ids[1]);
/// # Ok(())
/// # }
/// ```
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

    /// Returns the ref of the actor's object, which callers can wait for.
    fn object(this: &ActorRef<A>) -> ObjectRef<Instance<A>> {
        ObjectRef::from_entry(Self::entry(this).clone())
    }

    /// Returns the living actor of this name. [`Runtime::actor`] does the same.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # struct Counter(u64);
    /// #
    /// # #[remote]
    /// # impl Counter {
    /// #     fn new(start: u64) -> Self {
    /// #         Counter(start)
    /// #     }
    /// #
    /// #     fn add(&mut self, n: u64) -> u64 {
    /// #         self.0 += n;
    /// #         self.0
    /// #     }
    /// # }
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let counter = rt.spawn_actor(Counter::remote(5).name("hits"));
    /// let same: ActorRef<Counter> = ActorRef::get(&rt, "hits")?;
    /// assert!(same == counter);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`Runtime::actor`].
    pub fn get(rt: &Runtime, name: &str) -> Result<ActorRef<A>> {
        lookup::named(rt.engine(), name)
    }

    /// Returns the name that the actor was created with.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # struct Counter(u64);
    /// #
    /// # #[remote]
    /// # impl Counter {
    /// #     fn new(start: u64) -> Self {
    /// #         Counter(start)
    /// #     }
    /// #
    /// #     fn add(&mut self, n: u64) -> u64 {
    /// #         self.0 += n;
    /// #         self.0
    /// #     }
    /// # }
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let counter = rt.spawn_actor(Counter::remote(5).name("hits"));
    /// assert_eq!(ActorRef::name(&counter), Some("hits"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn name(this: &ActorRef<A>) -> Option<&str> {
        this.methods.handle().name()
    }

    /// Returns the identity of the actor.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # struct Counter(u64);
    /// #
    /// # #[remote]
    /// # impl Counter {
    /// #     fn new(start: u64) -> Self {
    /// #         Counter(start)
    /// #     }
    /// #
    /// #     fn add(&mut self, n: u64) -> u64 {
    /// #         self.0 += n;
    /// #         self.0
    /// #     }
    /// # }
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let counter = rt.spawn_actor(Counter::remote(5));
    /// assert_eq!(ActorRef::id(&counter), ActorRef::id(&counter.clone()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn id(this: &ActorRef<A>) -> ActorId {
        ActorId(Self::entry(this).id())
    }

    /// Ends the actor now. Does not block.
    ///
    /// Its process is killed, without `Drop` of its value. Calls that run or wait fail. The actor
    /// is not restarted, and its name is free again. Does nothing if the actor has ended, or could
    /// not be created.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # struct Counter(u64);
    /// #
    /// # #[remote]
    /// # impl Counter {
    /// #     fn new(start: u64) -> Self {
    /// #         Counter(start)
    /// #     }
    /// #
    /// #     fn add(&mut self, n: u64) -> u64 {
    /// #         self.0 += n;
    /// #         self.0
    /// #     }
    /// # }
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let counter = rt.spawn_actor(Counter::remote(5));
    /// ActorRef::kill(&counter);
    /// assert!(counter.add(1).spawn().get().unwrap_err().is_actor_dead());
    /// # Ok(())
    /// # }
    /// ```
    pub fn kill(this: &ActorRef<A>) {
        let entry = Self::entry(this);
        if let Some(engine) = entry.engine(ENGINE)
            && let Some(actors) = engine.actors()
            && !mobula_store::is_forked_child()
        {
            actors.kill(entry);
        }
    }

    /// Returns whether the constructor has ended, well or not. Does not block.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # struct Counter(u64);
    /// #
    /// # #[remote]
    /// # impl Counter {
    /// #     fn new(start: u64) -> Self {
    /// #         Counter(start)
    /// #     }
    /// #
    /// #     fn add(&mut self, n: u64) -> u64 {
    /// #         self.0 += n;
    /// #         self.0
    /// #     }
    /// # }
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let counter = rt.spawn_actor(Counter::remote(5));
    /// counter.add(1).spawn().get()?; // waits for the constructor
    /// assert!(ActorRef::is_ready(&counter));
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_ready(this: &ActorRef<A>) -> bool {
        Self::entry(this).wait(Some(Instant::now()))
    }

    /// Blocks until the actor has been constructed. No call needs that: calls wait by themselves.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// struct Config(String);
    ///
    /// #[remote]
    /// impl Config {
    ///     fn new(path: &str) -> std::io::Result<Self> {
    ///         Ok(Config(std::fs::read_to_string(path)?))
    ///     }
    ///
    ///     fn text(&self) -> String {
    ///         self.0.clone()
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let config = rt.spawn_actor(Config::remote("/no/such/file"));
    /// let error = ActorRef::ready(&config).unwrap_err();
    /// assert!(error.to_string().contains("No such file"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The constructor's `Err`, its panic, or the reason for which the actor could not be created.
    /// The error of each call has it as its source.
    pub fn ready(this: &ActorRef<A>) -> Result<()> {
        Self::object(this).wait()
    }

    /// Blocks until the actor has been constructed, for up to `limit`. A limit of zero looks
    /// without waiting.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
    ///
    /// struct Slow;
    ///
    /// #[remote]
    /// impl Slow {
    ///     fn new() -> Self {
    ///         std::thread::sleep(Duration::from_millis(100));
    ///         Slow
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let slow = rt.spawn_actor(Slow::remote());
    /// assert!(ActorRef::ready_timeout(&slow, Duration::ZERO).unwrap_err().is_timeout());
    /// ActorRef::ready_timeout(&slow, Duration::from_secs(60))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`ready`](Self::ready), and [`is_timeout`](crate::Error::is_timeout) after the
    /// limit. The constructor goes on then.
    pub fn ready_timeout(this: &ActorRef<A>, limit: Duration) -> Result<()> {
        Self::object(this).wait_timeout(limit)
    }

    /// Returns a future that ends when the actor has been constructed. The future keeps a handle of
    /// the actor.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # struct Counter(u64);
    /// #
    /// # #[remote]
    /// # impl Counter {
    /// #     fn new(start: u64) -> Self {
    /// #         Counter(start)
    /// #     }
    /// #
    /// #     fn add(&mut self, n: u64) -> u64 {
    /// #         self.0 += n;
    /// #         self.0
    /// #     }
    /// # }
    /// # #[mobula::main]
    /// # async fn main() -> mobula::Result<()> {
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let counter = rt.spawn_actor(Counter::remote(5));
    /// ActorRef::when_ready(&counter).await?;
    /// assert!(ActorRef::is_ready(&counter));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`ready`](Self::ready).
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
    /// Returns whether both refs are of the same actor.
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
        // The name travels with the ref, so the receiver need not ask for it.
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
