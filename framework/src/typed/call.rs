//! Calls that have not been started.

use std::{fmt, marker::PhantomData, sync::Arc};

use mobula_worker::{CallArg, CallSpec, Client, Entry, Error, Registry, RemoteFn, Result, Side};
use smallvec::SmallVec;

#[cfg(feature = "ndarray")]
use super::Tile;
use super::{IntoArg, ObjectRef, Part, SharedElement, arg::Source, codecs::Codec, place::Place};
use crate::typed::engine::current_client;

/// The arguments of a call. Those of most functions need no allocation until they are sent.
pub(crate) type Args = SmallVec<[CallArg; 2]>;

/// A call of a remote function that has not been started: what `function::remote(..)` returns.
///
/// It holds the encoded arguments and the options. Nothing runs until [`spawn`](Self::spawn),
/// [`Runtime::spawn`](crate::Runtime::spawn) or [`Runtime::spawn_all`](crate::Runtime::spawn_all);
/// awaiting it is not possible, since awaiting call after call would run them one by one.
///
/// What is wrong with a call (an argument that cannot be encoded, no runtime, refs of two
/// runtimes) becomes the error of its result.
///
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
    function: &'static RemoteFn,
    args: Args,
    retries: u32,
    /// The first argument that could not be encoded.
    error: Option<Error>,
    result: PhantomData<fn() -> R>,
}

impl<R> UnspawnedCall<R> {
    /// How often the function is run again after its worker process died; the default is the
    /// function's own (`#[remote(retries = n)]`), else 0.
    ///
    /// A panic and an `Err` are results, not deaths: they are not retried. A task that was queued
    /// but not started when its worker died is started elsewhere, and that costs no retry.
    pub fn retries(mut self, retries: u32) -> UnspawnedCall<R> {
        self.retries = retries;
        self
    }

    /// Starts the call, on the runtime of the refs among its arguments, else on the only one of
    /// this process. Does not block.
    ///
    /// Refs may be pending: the call runs when all of them are ready, and fails without running if
    /// one of them fails.
    pub fn spawn(self) -> ObjectRef<R> {
        let client = self.client();
        self.spawn_at(client)
    }

    /// Starts the call on this engine.
    pub(crate) fn spawn_on(self, client: &Arc<dyn Client>) -> ObjectRef<R> {
        self.spawn_at(Ok(client.clone()))
    }

    fn spawn_at(self, client: Result<Arc<dyn Client>>) -> ObjectRef<R> {
        let entry = match self.error {
            Some(error) => Err(error),
            None => client.and_then(|client| Ok(client.clone().spawn(self.into_spec(&client)?))),
        };
        ObjectRef::from_entry(entry.unwrap_or_else(Entry::failed))
    }

    /// As this engine takes it.
    ///
    /// # Errors
    /// What is wrong with the call.
    pub(crate) fn into_spec(self, client: &Arc<dyn Client>) -> Result<CallSpec> {
        let (function, args, retries) = self.into_parts(client)?;
        Ok(CallSpec {
            function: Registry::get()?.index_of(function)?,
            args: args.into_vec(),
            retries,
        })
    }

    /// What is to be sent to this engine.
    ///
    /// # Errors
    /// What is wrong with the call.
    pub(crate) fn into_parts(
        self,
        client: &Arc<dyn Client>,
    ) -> Result<(&'static RemoteFn, Args, u32)> {
        if let Some(error) = self.error {
            return Err(error);
        }
        match self.unusable_ref(client) {
            Some(error) => Err(error),
            None => Ok((self.function, self.args, self.retries)),
        }
    }

    /// The engine that the arguments say, or the only one.
    fn client(&self) -> Result<Arc<dyn Client>> {
        let Some(first) = self.entries().next() else {
            return current_client();
        };
        first.client().ok_or_else(|| self.gone(first))
    }

    /// The arguments, if this is a call of that function with nothing wrong and no refs.
    pub(crate) fn plain_args(&self, function: &RemoteFn, retries: u32) -> Option<&[CallArg]> {
        let same = std::ptr::eq(self.function, function) && self.retries == retries;
        (same && self.error.is_none() && !self.may_have_refs()).then_some(&self.args[..])
    }

    /// Whether there is any ref to look at.
    fn may_have_refs(&self) -> bool {
        self.args.iter().any(|arg| match arg {
            CallArg::Value(payload) => !payload.side.is_empty(),
            CallArg::Object(_) | CallArg::Gather(_) => true,
        })
    }

    /// What is wrong with the first ref that `client` cannot use.
    fn unusable_ref(&self, client: &Arc<dyn Client>) -> Option<Error> {
        if !self.may_have_refs() {
            return None;
        }
        let other = self.entries().find(|entry| !entry.belongs_to(client))?;
        if other.client().is_none() {
            return Some(self.gone(other));
        }
        Some(Error::usage(format!(
            "the call of `{}` has refs of two runtimes; get the value of one and pass that",
            self.function.name
        )))
    }

    /// Why a call fails that has the ref of a call that could not be started, or of a runtime that
    /// is no more.
    fn gone(&self, entry: &Entry) -> Error {
        match entry.outcome() {
            Some(Err(error)) => Error::dependency(self.function.name, error),
            _ => Error::shutdown(),
        }
    }

    /// All refs among the arguments, those inside of values too.
    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.args.iter().flat_map(|arg| {
            let (one, many, sides): (_, &[Arc<Entry>], &[Side]) = match arg {
                CallArg::Object(entry) => (Some(entry), &[], &[]),
                CallArg::Gather(entries) => (None, entries, &[]),
                CallArg::Value(payload) => (None, &[], &payload.side),
            };
            let refs = sides.iter().filter_map(|side| match side {
                Side::Ref(entry) => Some(entry),
                Side::Array { .. } => None,
            });
            one.into_iter()
                .chain(many)
                .chain(refs)
                .map(|entry| &**entry)
        })
    }
}

/// Not public API: for generated code.
#[doc(hidden)]
impl<R> UnspawnedCall<R> {
    /// A call without arguments.
    pub fn new(function: &'static RemoteFn, retries: u32) -> UnspawnedCall<R> {
        UnspawnedCall {
            function,
            args: Args::new(),
            retries,
            error: None,
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
        let encoded = arg.with_source(|source| {
            Ok(match source {
                Source::Local(value) => CallArg::Value(codec.encode(value, Place::Current)?),
                Source::Encoded(payload) => CallArg::Value(payload?),
                Source::Object(entry) => CallArg::Object(entry),
                Source::Gather(entries) => CallArg::Gather(entries),
            })
        });
        match encoded {
            Ok(arg) => self.args.push(arg),
            Err(error) => {
                let function = self.function.name;
                self.error
                    .get_or_insert_with(|| in_argument(name, Some(function), error));
            }
        }
    }
}

/// Not public API: for generated code.
#[doc(hidden)]
impl<R> UnspawnedCall<R> {
    /// Adds a part of a shared array.
    pub fn push_part<T: SharedElement>(&mut self, part: Part<T>) {
        self.args.push(CallArg::Object(part.into_entry()));
    }

    /// Adds a tile of a shared array.
    #[cfg(feature = "ndarray")]
    pub fn push_tile<T: SharedElement>(&mut self, tile: Tile<T>) {
        self.args.push(CallArg::Object(tile.into_entry()));
    }
}

/// Says which argument could not be encoded or decoded.
pub(crate) fn in_argument(name: &str, function: Option<&str>, error: Error) -> Error {
    let place = match function {
        Some(function) => format!("argument `{name}` of `{function}`"),
        None => format!("argument `{name}`"),
    };
    if error.is_type_mismatch() {
        Error::type_mismatch(format!("{place}: {error}"))
    } else if error.is_codec() {
        Error::codec(format!("{place}: {error}"))
    } else {
        error
    }
}

impl<R> fmt::Debug for UnspawnedCall<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnspawnedCall")
            .field("function", self.function)
            .field("arguments", &self.args.len())
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}
