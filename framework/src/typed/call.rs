//! Calls that have not been started.

mod options;
mod placement;
mod resources;
mod untyped;

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use mobula_protocol::{
    Call, CallArg, CallOptions, Engine, ObjectHandle, Payload, RemoteFn, Result, TaskOptions,
};

use super::{
    IntoArg, ObjectRef, Part, SharedElement, Tile, actor::ActorHandle, bound::Bound, codecs::Codec,
};
use untyped::UntypedCall;

pub(crate) use placement::check_node;

/// A call that has not been started. `function::remote(..)` returns it, and so does each method of
/// an [`ActorRef`](crate::ActorRef).
///
/// It holds the encoded arguments and the options. Nothing runs until [`spawn`](Self::spawn),
/// [`Runtime::spawn`](crate::Runtime::spawn) or [`Runtime::spawn_all`](crate::Runtime::spawn_all).
/// It is no future, since awaiting call after call would run them one by one.
///
/// A wrong call becomes the error of its result. Examples are an argument that cannot be encoded,
/// no runtime, and refs of two runtimes.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn add(a: f64, b: f64) -> f64 {
///     a + b
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::start()?;
/// let call = add::remote(1.0, 2.0).retries(3); // nothing has happened so far
/// assert_eq!(call.spawn().get()?, 3.0);
/// # Ok(())
/// # }
/// ```
#[must_use = "a remote call does nothing until it is spawned: add `.spawn()`"]
pub struct UnspawnedCall<R> {
    call: UntypedCall,
    result: PhantomData<fn() -> R>,
}

impl<R> UnspawnedCall<R> {
    fn own_options(&mut self) -> &mut TaskOptions {
        self.call.own_options()
    }

    /// Makes each element of the result an object.
    pub(crate) fn set_split(&mut self) {
        self.own_options().split = true;
    }

    /// Starts the call, on the runtime of the refs among its arguments, else on the only one of
    /// this process. Does not block, unless the runtime limits how many calls are pending
    /// ([`Builder::max_pending`](crate::Builder::max_pending)).
    ///
    /// Refs may be pending. The call runs when all of them are ready, and fails without running if
    /// one of them fails.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn add(a: u64, b: u64) -> u64 {
    ///     a + b
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let three = add::remote(1, 2).spawn();
    /// let six = add::remote(&three, &three).spawn(); // runs when `three` is there
    /// assert_eq!(six.get()?, 6);
    /// # drop(rt);
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn(self) -> ObjectRef<R> {
        ObjectRef::from_entry(self.call.spawn())
    }

    /// Starts the call as [`spawn`](Self::spawn) does, or returns an error at once.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn sleep(millis: u64) {
    ///     std::thread::sleep(std::time::Duration::from_millis(millis));
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).max_pending(1).start()?;
    /// let first = sleep::remote(500).try_spawn()?;
    /// assert!(sleep::remote(0).try_spawn().unwrap_err().is_backpressure());
    /// first.get()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// * [`is_backpressure`](crate::Error::is_backpressure): as many calls as
    ///   [`Builder::max_pending`](crate::Builder::max_pending) says have not ended, or as many of
    ///   the actor as its [`max_pending_calls`](crate::ActorCall::max_pending_calls) says.
    /// * What is wrong with the call itself, such as an argument that cannot be encoded.
    pub fn try_spawn(self) -> Result<ObjectRef<R>> {
        let engine = self.engine()?;
        self.try_spawn_on(&engine)
    }

    /// Starts the call as [`spawn`](Self::spawn) does, without blocking the thread.
    ///
    /// The future waits while as many calls as
    /// [`Builder::max_pending`](crate::Builder::max_pending) says have not ended. Calls that wait
    /// start in the order in which they began to wait. A future that is dropped starts nothing, and
    /// its place goes to the next one.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// #[mobula::main]
    /// async fn main() -> mobula::Result<()> {
    ///     let _rt = Runtime::builder().workers(1).max_pending(2).start()?;
    ///     let mut results = Vec::new();
    ///     for n in 0..5 {
    ///         results.push(square::remote(n).spawn_async().await);
    ///     }
    ///     assert_eq!(results.pop().unwrap().await?, 16);
    ///     Ok(())
    /// }
    /// ```
    pub async fn spawn_async(self) -> ObjectRef<R> {
        match self.engine() {
            Ok(engine) => self.spawn_async_on(&engine).await,
            Err(error) => ObjectRef::from_entry(ObjectHandle::failed(error)),
        }
    }

    /// Does on this engine what [`try_spawn`](Self::try_spawn) does.
    ///
    /// # Errors
    /// The errors of `try_spawn`.
    pub(crate) fn try_spawn_on(self, engine: &Arc<dyn Engine>) -> Result<ObjectRef<R>> {
        self.call.try_spawn_on(engine).map(ObjectRef::from_entry)
    }

    /// Does on this engine what [`spawn_async`](Self::spawn_async) does.
    pub(crate) async fn spawn_async_on(self, engine: &Arc<dyn Engine>) -> ObjectRef<R> {
        ObjectRef::from_entry(self.call.spawn_async_on(engine).await)
    }

    /// Returns the engine on which the call would be started.
    ///
    /// # Errors
    /// There is none, or an argument could not be encoded.
    pub(crate) fn engine(&self) -> Result<Arc<dyn Engine>> {
        self.call.bound.engine()
    }

    /// Adds an argument that the function does not declare.
    pub(crate) fn push_number(&mut self, number: u64) {
        self.call.bound.push_value(&number);
    }

    /// Adds an object that the function does not declare.
    pub(crate) fn push_object(&mut self, object: Arc<ObjectHandle>) {
        self.call.bound.push_object(object);
    }

    /// Adds an argument in its final form, or fails the call if the argument could not get it.
    pub(crate) fn push_payload(&mut self, payload: Result<Payload>) {
        self.call.push_payload(payload);
    }

    /// Starts the call on this engine.
    pub(crate) fn spawn_on(self, engine: &Arc<dyn Engine>) -> ObjectRef<R> {
        ObjectRef::from_entry(self.call.spawn_on(engine))
    }

    /// Returns the call in the form that this engine takes.
    ///
    /// # Errors
    /// The call is wrong.
    pub(crate) fn into_spec(self, engine: &Arc<dyn Engine>) -> Result<Call> {
        self.call.into_spec(engine)
    }

    /// Returns the parts to send to this engine.
    ///
    /// # Errors
    /// The call is wrong.
    pub(crate) fn into_parts(self, engine: &Arc<dyn Engine>) -> Result<(Bound, CallOptions)> {
        self.call.into_parts(engine)
    }

    /// Returns the arguments, if this is a call of `function` with these options, without mistakes
    /// and refs, and of no actor.
    pub(crate) fn plain_args(
        &self,
        function: &RemoteFn,
        options: &CallOptions,
    ) -> Option<&[CallArg]> {
        match self.call.options == *options {
            true => self.call.bound.plain_args(function),
            false => None,
        }
    }
}

/// Not public API: for generated code.
#[doc(hidden)]
impl<R> UnspawnedCall<R> {
    /// A call without arguments.
    pub fn new(function: &'static RemoteFn) -> UnspawnedCall<R> {
        UnspawnedCall {
            call: UntypedCall::new(function, None),
            result: PhantomData,
        }
    }

    /// A call of a method without arguments.
    pub fn of_method(function: &'static RemoteFn, actor: &ActorHandle) -> UnspawnedCall<R> {
        UnspawnedCall {
            call: UntypedCall::new(function, Some(actor.entry().clone())),
            result: PhantomData,
        }
    }

    /// Adds an argument.
    pub fn push<T: ?Sized, A: IntoArg<T>, C: Codec<T>>(
        &mut self,
        name: &'static str,
        arg: A,
        codec: &C,
    ) {
        self.call.bound.push(name, arg, codec);
    }

    /// Adds a part of a shared array.
    pub fn push_part<T: SharedElement>(&mut self, part: Part<T>) {
        self.call.bound.push_object(part.into_entry());
    }

    /// Adds a tile of a shared array.
    pub fn push_tile<T: SharedElement>(&mut self, tile: Tile<T>) {
        self.call.bound.push_object(tile.into_entry());
    }
}

/// The bound that makes an awaited call a compiler error with an explanation. Not public API: no
/// type implements it.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "this call is awaited before it is spawned, so it would never run",
    label = "spawn it first: `.spawn().await`",
    note = "`.spawn()` starts the call and gives an `ObjectRef`, which is a future; to start many before the first is awaited, see `Runtime::spawn_all`"
)]
pub trait Spawned {}

#[doc(hidden)]
impl<R: Spawned> Future for UnspawnedCall<R> {
    // The type is the output of a ref. So later uses of the output cause no further compiler
    // errors.
    type Output = Result<R>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<R>> {
        unreachable!("no type is `Spawned`")
    }
}

impl<R> fmt::Debug for UnspawnedCall<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("UnspawnedCall");
        text.field("function", self.call.bound.function)
            .field("arguments", &self.call.bound.args.len());
        if let Some(actor) = &self.call.bound.actor {
            text.field("actor", actor);
        }
        let options = TaskOptions::of(&self.call.options, &self.call.bound.function.options);
        text.field("options", options).finish_non_exhaustive()
    }
}
