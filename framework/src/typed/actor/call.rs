//! Actors that have not been created.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use mobula_protocol::{
    ActorOptions, ActorSpec, Engine, Error, ObjectHandle, Registry, RemoteFn, Result, Role,
};

use super::{Actor, ActorHandle, ActorRef, lookup, lookup::short_name};
use crate::typed::{IntoArg, bound::Bound, call::check_node, codecs::Codec};

/// An actor that has not been created. `Type::remote(..)` returns it for an [`Actor`].
///
/// It holds the encoded arguments of the constructor and the options. Nothing happens until
/// [`spawn`](Self::spawn) or [`get_or_create`](Self::get_or_create). The options can also stand on
/// the `impl` block, as in `#[remote(max_restarts = 2)]`. An option of the call overrides that of
/// the block.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// struct Greeter(String);
///
/// #[remote(max_restarts = 1)]
/// impl Greeter {
///     fn new(greeting: &str) -> Self {
///         Greeter(greeting.to_owned())
///     }
///
///     fn greet(&self, name: &str) -> String {
///         format!("{}, {name}", self.0)
///     }
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let call = Greeter::remote("Hello").name("greeter").max_concurrency(4);
/// let greeter = call.spawn();
/// assert_eq!(greeter.greet("Ann").spawn().get()?, "Hello, Ann");
/// # drop(rt);
/// # Ok(())
/// # }
/// ```
#[must_use = "an actor is not created until `.spawn()`"]
pub struct ActorCall<A> {
    bound: Bound,
    pub(super) options: ActorOptions,
    /// The error of the first wrong option.
    error: Option<Error>,
    actor: PhantomData<fn() -> A>,
}

impl<A: Actor> ActorCall<A> {
    /// Sets the name under which [`Runtime::actor`](crate::Runtime::actor) finds the actor, as long
    /// as it lives. Default: none.
    ///
    /// One living actor of a runtime can have a name. An actor with a name ends with its last
    /// handle, too. An empty name is an error of the creation.
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
    /// #[remote]
    /// fn count() -> mobula::Result<u64> {
    ///     let hits = Runtime::current()?.actor::<Counter>("hits")?;
    ///     hits.add(1).spawn().get()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let _hits = rt.spawn_actor(Counter::remote(5).name("hits"));
    /// assert_eq!(rt.spawn(count::remote()).get()?, 6);
    /// # Ok(())
    /// # }
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> ActorCall<A> {
        let name = name.into();
        if name.is_empty() {
            self.wrong("its name is empty");
        }
        self.options.name = Some(name);
        self
    }

    /// Sets how often the actor is made anew after its process died, by its constructor with the
    /// same arguments. Default: 0.
    ///
    /// The arguments are kept as long as that may happen.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// struct Fragile(u32);
    ///
    /// #[remote]
    /// impl Fragile {
    ///     fn new() -> Self {
    ///         Fragile(0)
    ///     }
    ///
    ///     fn set(&mut self, n: u32) -> u32 {
    ///         self.0 += n;
    ///         self.0
    ///     }
    ///
    ///     fn abort(&self) {
    ///         std::process::abort();
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let fragile = rt.spawn_actor(Fragile::remote().max_restarts(1));
    /// assert_eq!(fragile.set(7).spawn().get()?, 7);
    /// assert!(fragile.abort().spawn().get().unwrap_err().is_crash());
    /// assert_eq!(fragile.set(7).spawn().get()?, 7); // a new value
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_restarts(mut self, restarts: u32) -> ActorCall<A> {
        self.options.max_restarts = restarts;
        self
    }

    /// Sets how often a call runs again that was running when the actor's process died, where
    /// neither the call nor the method says it. Default: 0, so that nothing is done twice.
    ///
    /// It needs [restarts](Self::max_restarts), too.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use mobula::AtomicArray;
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// struct Flaky;
    ///
    /// #[remote]
    /// impl Flaky {
    ///     fn new() -> Self {
    ///         Flaky
    ///     }
    ///
    ///     fn run(&self, runs: &AtomicArray<AtomicU32>) -> u32 {
    ///         match runs[0].fetch_add(1, Ordering::Relaxed) {
    ///             0 => std::process::abort(),
    ///             before => before,
    ///         }
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let runs = rt.atomic_array::<AtomicU32>(1)?;
    /// let flaky = rt.spawn_actor(Flaky::remote().max_restarts(1).max_call_retries(1));
    /// assert_eq!(flaky.run(&runs).spawn().get()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_call_retries(mut self, retries: u32) -> ActorCall<A> {
        self.options.max_call_retries = retries;
        self
    }

    /// Sets how many calls of methods without a group run at the same time, at most. Default: 1.
    ///
    /// A method with `&mut self` runs alone in any case. An asynchronous method counts until its
    /// end. The number is at least 1, and exactly 1 for a type that is not `Send + Sync`. Otherwise
    /// creating the actor fails with `is_usage()`.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// struct Gate(AtomicBool);
    ///
    /// #[remote]
    /// impl Gate {
    ///     fn new() -> Self {
    ///         Gate(AtomicBool::new(false))
    ///     }
    ///
    ///     async fn pass(&self) {
    ///         while !self.0.load(Ordering::Acquire) {
    ///             tokio::task::yield_now().await;
    ///         }
    ///     }
    ///
    ///     fn open(&self) {
    ///         self.0.store(true, Ordering::Release);
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let gate = rt.spawn_actor(Gate::remote().max_concurrency(2));
    /// let waiting = gate.pass().spawn();
    /// gate.open().spawn(); // runs while the other call waits
    /// waiting.get()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_concurrency(mut self, calls: u32) -> ActorCall<A> {
        if calls == 0 {
            self.wrong("max_concurrency is 0, so that no method could ever run");
        }
        if calls > 1 && self.bound.function.role == (Role::Constructor { bound: true }) {
            self.wrong("calls that run at the same time need a type that is `Send + Sync`");
        }
        self.options.max_concurrency = calls;
        self
    }

    /// Sets how many calls of methods in this group run at the same time, at most. Default: 1.
    ///
    /// `#[remote(group = "name")]` puts a method into a group. A group that is busy does not hold
    /// up calls of other groups. The number is at least 1, and a method is in the group. Otherwise
    /// creating the actor fails with `is_usage()`.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// struct Cache(Vec<u32>);
    ///
    /// #[remote]
    /// impl Cache {
    ///     fn new() -> Self {
    ///         Cache(vec![1, 2, 3])
    ///     }
    ///
    ///     #[remote(group = "read")]
    ///     fn read(&self, n: usize) -> Option<u32> {
    ///         self.0.get(n).copied()
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let cache = rt.spawn_actor(Cache::remote().group("read", 4));
    /// assert_eq!(cache.read(2).spawn().get()?, Some(3));
    /// let error = ActorRef::ready(&rt.spawn_actor(Cache::remote().group("write", 1)));
    /// assert!(error.unwrap_err().is_usage());
    /// # Ok(())
    /// # }
    /// ```
    pub fn group(mut self, name: &str, calls: u32) -> ActorCall<A> {
        if calls == 0 {
            self.wrong(format_args!(
                "the limit of the group {name:?} is 0, so that none of its methods could ever run"
            ));
        }
        let known = self.options.groups.iter_mut();
        match known.into_iter().find(|(group, _)| group == name) {
            Some((_, limit)) => *limit = calls,
            None => self.wrong(format_args!(
                "no method is in the group {name:?}; the groups are {:?}",
                A::GROUPS
            )),
        }
        self
    }

    /// Sets how many calls may run or wait for their turn. Further calls fail at once with
    /// `is_backpressure()`, until there are fewer. Default: any number, in the memory of the
    /// driver.
    ///
    /// The number is at least 1. Otherwise creating the actor fails with `is_usage()`.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// struct Slow;
    ///
    /// #[remote]
    /// impl Slow {
    ///     fn new() -> Self {
    ///         Slow
    ///     }
    ///
    ///     fn sleep(&self, millis: u64) {
    ///         std::thread::sleep(std::time::Duration::from_millis(millis));
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let slow = rt.spawn_actor(Slow::remote().max_pending_calls(1));
    /// let first = slow.sleep(200).spawn();
    /// assert!(slow.sleep(0).spawn().get().unwrap_err().is_backpressure());
    /// first.get()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_pending_calls(mut self, calls: u32) -> ActorCall<A> {
        if calls == 0 {
            self.wrong("max_pending_calls is 0, so that no method could ever be called");
        }
        self.options.max_pending_calls = Some(calls);
        self
    }

    /// Sets how long the actor may take to drop its value at its end, before its process is killed.
    /// Default: 5 s.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// use std::time::Duration;
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
    /// let counter = rt.spawn_actor(Counter::remote(5).grace(Duration::from_secs(60)));
    /// assert_eq!(counter.add(1).spawn().get()?, 6);
    /// # Ok(())
    /// # }
    /// ```
    pub fn grace(mut self, limit: Duration) -> ActorCall<A> {
        self.options.grace = limit;
        self
    }

    /// Creates the actor, on the runtime of the refs among the arguments, else on the only one of
    /// this process. Does not block.
    ///
    /// The constructor runs when a process is there and its arguments are ready. Calls that are
    /// spawned before wait for it. A failure is the error of [`ActorRef::ready`] and the source of
    /// the error of each call.
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
    /// let counter = Counter::remote(5).spawn();
    /// assert_eq!(counter.add(2).spawn().get()?, 7);
    /// # drop(rt);
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn(self) -> ActorRef<A> {
        let engine = self.bound.engine();
        self.spawn_at(engine)
    }

    /// Returns the living actor of this [name](Self::name), or else creates it. Blocks until the
    /// actor has been constructed.
    ///
    /// One actor is created, however many callers ask at the same time. If an actor is found, the
    /// arguments and options of the call have no meaning.
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
    /// let one = Counter::remote(5).name("hits").get_or_create()?;
    /// let same = Counter::remote(99).name("hits").get_or_create()?;
    /// one.add(1).spawn().get()?;
    /// assert_eq!(same.add(1).spawn().get()?, 7);
    /// # drop(rt);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// * `is_usage()`: the call has no name, or an option is out of range.
    /// * `is_type_mismatch()`: the actor of this name is of another type.
    /// * The reason for which the actor could not be created.
    pub fn get_or_create(self) -> Result<ActorRef<A>> {
        let engine = self.bound.engine()?;
        lookup::get_or_create(&engine, self)
    }

    /// Creates the actor on this engine.
    pub(crate) fn spawn_on(self, engine: &Arc<dyn Engine>) -> ActorRef<A> {
        self.spawn_at(Ok(engine.clone()))
    }

    fn spawn_at(self, engine: Result<Arc<dyn Engine>>) -> ActorRef<A> {
        let name = self.options.name.clone();
        let entry = engine.and_then(|engine| {
            let spec = self.into_spec(&engine)?;
            Ok(engine.need_actors()?.create(spec))
        });
        let entry = entry.unwrap_or_else(ObjectHandle::failed);
        ActorRef::of(ActorHandle::new(entry, name.as_deref()))
    }

    /// Returns the call in the form that this engine takes.
    ///
    /// # Errors
    /// The call is wrong.
    pub(crate) fn into_spec(self, engine: &Arc<dyn Engine>) -> Result<ActorSpec> {
        self.bound.check(engine)?;
        if let Some(error) = self.error {
            return Err(error);
        }
        if let Some(node) = &self.options.node {
            let actor = short_name::<A>();
            check_node(node, engine)
                .map_err(|error| error.at(format_args!("an actor `{actor}`")))?;
        }
        Ok(ActorSpec {
            constructor: Registry::get()?.index_of(self.bound.function)?,
            args: self.bound.args,
            options: self.options,
        })
    }

    pub(super) fn wrong(&mut self, why: impl fmt::Display) {
        self.error.get_or_insert_with(|| {
            Error::usage(format!(
                "an actor `{}` cannot be created: {why}",
                short_name::<A>()
            ))
        });
    }
}

/// Not public API: for generated code.
#[doc(hidden)]
impl<A: Actor> ActorCall<A> {
    /// A call without arguments.
    pub fn new(constructor: &'static RemoteFn) -> ActorCall<A> {
        let groups = A::GROUPS.iter().map(|group| ((*group).to_owned(), 1));
        ActorCall {
            bound: Bound::new(constructor, None),
            options: ActorOptions {
                groups: groups.collect(),
                resources: constructor.options.resources.clone(),
                ..ActorOptions::default()
            },
            error: None,
            actor: PhantomData,
        }
    }

    /// Adds an argument.
    pub fn push<T: ?Sized, B: IntoArg<T>, C: Codec<T>>(
        &mut self,
        name: &'static str,
        arg: B,
        codec: &C,
    ) {
        self.bound.push(name, arg, codec);
    }
}

impl<A> fmt::Debug for ActorCall<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorCall")
            .field("constructor", self.bound.function)
            .field("arguments", &self.bound.args.len())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
