//! Actors that have not been created.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use mobula_protocol::{
    ActorOptions, ActorSpec, Engine, Error, ObjectHandle, Registry, RemoteFn, Result, Role,
};

use super::{Actor, ActorHandle, ActorRef, lookup, lookup::short_name};
use crate::typed::{IntoArg, bound::Bound, codecs::Codec};

/// An actor that has not been created: what `Type::remote(..)` returns for an [`Actor`].
///
/// It holds the encoded arguments of the constructor and the options. Nothing happens until
/// [`spawn`](Self::spawn) or [`get_or_create`](Self::get_or_create). The options can also stand
/// on the `impl` block, as in `#[remote(max_restarts = 2)]`; those of the call come first.
///
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
/// let call = Greeter::remote("Hello").name("greeter").max_concurrency(4);
/// # assert!(format!("{call:?}").contains("greeter"));
/// ```
#[must_use = "an actor is not created until `.spawn()`"]
pub struct ActorCall<A> {
    bound: Bound,
    options: ActorOptions,
    /// The first option that cannot be.
    error: Option<Error>,
    actor: PhantomData<fn() -> A>,
}

impl<A: Actor> ActorCall<A> {
    /// The name under which [`Runtime::actor`](crate::Runtime::actor) finds the actor, as long as
    /// it lives. Of all living actors of a runtime one can have a name. Default: none.
    ///
    /// An actor with a name ends with its last handle, too.
    pub fn name(mut self, name: impl Into<String>) -> ActorCall<A> {
        let name = name.into();
        if name.is_empty() {
            self.wrong("its name is empty");
        }
        self.options.name = Some(name);
        self
    }

    /// How often the actor is made anew, by its constructor with the same arguments, after its
    /// process died. Default: 0. The arguments are kept as long as that may happen.
    pub fn max_restarts(mut self, restarts: u32) -> ActorCall<A> {
        self.options.max_restarts = restarts;
        self
    }

    /// How often a call is run again that was running when the actor's process died, where neither
    /// the call nor the method says how often. Default: 0, so that nothing is done twice. It takes
    /// [restarts](Self::max_restarts), too.
    pub fn max_call_retries(mut self, retries: u32) -> ActorCall<A> {
        self.options.max_call_retries = retries;
        self
    }

    /// How many calls of methods without a group run at the same time, at most. Default: 1. Methods
    /// with `&mut self` run alone in any case; an asynchronous one counts until its end.
    ///
    /// At least 1, and exactly 1 for a type that is not `Send + Sync`; otherwise creating the actor
    /// fails with `is_usage()`.
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

    /// How many calls of methods in this group (`#[remote(group = "name")]` on them) run at the
    /// same time, at most. Default: 1. A group that is busy does not hold up calls of others.
    ///
    /// At least 1, and there is such a method; otherwise creating the actor fails with
    /// `is_usage()`.
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

    /// How many calls may run or wait for their turn; further ones fail at once with `is_usage()`,
    /// until there are fewer. Default: any number, in the memory of the driver.
    ///
    /// At least 1; otherwise creating the actor fails with `is_usage()`.
    pub fn max_pending_calls(mut self, calls: u32) -> ActorCall<A> {
        if calls == 0 {
            self.wrong("max_pending_calls is 0, so that no method could ever be called");
        }
        self.options.max_pending_calls = Some(calls);
        self
    }

    /// How long the actor may take to end, which is to drop its value, before its process is
    /// killed. Default: five seconds.
    pub fn grace(mut self, limit: Duration) -> ActorCall<A> {
        self.options.grace = limit;
        self
    }

    /// Creates the actor, on the runtime of the refs among the arguments, else on the only one of
    /// this process. Does not block: the constructor runs when a process is there and its arguments
    /// are ready, and calls that are spawned before wait for it. What goes wrong is the error of
    /// [`ActorRef::ready`] and the source of the error of each call.
    pub fn spawn(self) -> ActorRef<A> {
        let engine = self.bound.engine();
        self.spawn_at(engine)
    }

    /// Gives the living actor of this [name](Self::name), or else creates it: one, however many ask
    /// for it at the same time. The arguments and options of a call that finds one have no meaning.
    /// Blocks until the actor has been constructed.
    ///
    /// # Errors
    /// `is_usage()`: the call has no name, or an option cannot be. `is_type_mismatch()`: the actor
    /// of this name is of another type. Otherwise why the actor could not be created.
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

    /// As this engine takes it.
    ///
    /// # Errors
    /// What is wrong with the call.
    pub(crate) fn into_spec(self, engine: &Arc<dyn Engine>) -> Result<ActorSpec> {
        self.bound.check(engine)?;
        if let Some(error) = self.error {
            return Err(error);
        }
        Ok(ActorSpec {
            constructor: Registry::get()?.index_of(self.bound.function)?,
            args: self.bound.args,
            options: self.options,
        })
    }

    fn wrong(&mut self, why: impl fmt::Display) {
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
