//! A remote function with its arguments: the common part of calls of functions, constructors and
//! methods.

use std::sync::Arc;

use mobula_protocol::{
    Attachment, CallArg, Engine, Error, ObjectHandle, RemoteFn, Result, message::Args,
};

use super::{
    IntoArg, Value,
    arg::Source,
    codecs::{Codec, encode_value},
    engine::current_engine,
    place::Place,
};
use crate::promise::ENGINE;

/// A remote function with its arguments: see the [module](self).
pub(crate) struct Bound {
    pub(crate) function: &'static RemoteFn,
    /// The actor, if the function is a method.
    pub(crate) actor: Option<Arc<ObjectHandle>>,
    pub(crate) args: Args<CallArg>,
    /// The first error: of an argument that could not be encoded, or of an option.
    error: Option<Error>,
}

impl Bound {
    // Inlined into the user's crate. A call takes some cache lines, and would be copied once more.
    #[inline]
    pub(crate) fn new(function: &'static RemoteFn, actor: Option<Arc<ObjectHandle>>) -> Bound {
        Bound {
            function,
            actor,
            args: Args::new(),
            error: None,
        }
    }

    /// Adds an argument.
    #[inline]
    pub(crate) fn push<T: ?Sized, A: IntoArg<T>, C: Codec<T>>(
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

    /// Adds a value that the function does not declare.
    pub(crate) fn push_value<T: Value>(&mut self, value: &T) {
        match encode_value(value, Place::Current) {
            Ok(payload) => self.args.push(CallArg::Value(payload)),
            Err(error) => self.error = self.error.take().or(Some(error)),
        }
    }

    /// Records an error that fails the call.
    pub(crate) fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }

    /// Adds an argument that is always an object.
    pub(crate) fn push_object(&mut self, entry: Arc<ObjectHandle>) {
        self.args.push(CallArg::Object(entry));
    }

    /// Returns the arguments, if this is a call of `function` without errors, actor and refs.
    #[inline]
    pub(crate) fn plain_args(&self, function: &RemoteFn) -> Option<&[CallArg]> {
        let same = std::ptr::eq(self.function, function);
        (same && self.error.is_none() && !self.may_have_refs()).then_some(&self.args[..])
    }

    /// Returns the engine of the refs, or else the only engine.
    ///
    /// # Errors
    /// There is none, or the engine of the first ref has ended.
    pub(crate) fn engine(&self) -> Result<Arc<dyn Engine>> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let Some(first) = self.entries().next() else {
            return current_engine();
        };
        first.engine(ENGINE).ok_or_else(|| self.gone(first))
    }

    /// Checks that this engine can take the call.
    ///
    /// # Errors
    /// The call is wrong.
    pub(crate) fn check(&self, engine: &Arc<dyn Engine>) -> Result<()> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        match self.unusable_ref(engine) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Returns whether the call may have refs.
    #[inline]
    fn may_have_refs(&self) -> bool {
        self.actor.is_some()
            || self.args.iter().any(|arg| match arg {
                CallArg::Value(payload) => !payload.attachments.is_empty(),
                CallArg::Object(_) | CallArg::Gather(_) => true,
            })
    }

    /// Returns the error of the first ref that `engine` cannot use.
    fn unusable_ref(&self, engine: &Arc<dyn Engine>) -> Option<Error> {
        if !self.may_have_refs() {
            return None;
        }
        let other = self.entries().find(|entry| !entry.belongs_to(&**engine))?;
        if other.engine(ENGINE).is_none() {
            return Some(self.gone(other));
        }
        Some(Error::usage(format!(
            "the call of `{}` has refs of two runtimes; get the value of one and pass that",
            self.function.name
        )))
    }

    /// Returns the error of a call whose ref has no engine. The ref belongs to a call that could
    /// not be started, or to a runtime that has ended.
    fn gone(&self, entry: &ObjectHandle) -> Error {
        let name = self.function.name;
        match entry.outcome() {
            Some(Err(error)) if self.is_actor(entry) => Error::actor_dead(name, error),
            Some(Err(error)) => Error::dependency(name, error),
            _ => Error::shutdown(),
        }
    }

    fn is_actor(&self, entry: &ObjectHandle) -> bool {
        let actor = self.actor.as_ref();
        actor.is_some_and(|actor| std::ptr::eq(&**actor, entry))
    }

    /// Returns all refs: the actor, and the refs among the arguments and inside of values.
    fn entries(&self) -> impl Iterator<Item = &ObjectHandle> {
        let of_args = self.args.iter().flat_map(|arg| {
            let (one, many, attachments): (_, &[Arc<ObjectHandle>], &[Attachment]) = match arg {
                CallArg::Object(entry) => (Some(entry), &[], &[]),
                CallArg::Gather(entries) => (None, entries, &[]),
                CallArg::Value(payload) => (None, &[], &payload.attachments),
            };
            let refs = attachments
                .iter()
                .filter_map(|attachment| match attachment {
                    Attachment::Ref(entry) => Some(entry),
                    Attachment::Array { .. } => None,
                });
            one.into_iter().chain(many).chain(refs)
        });
        self.actor.iter().chain(of_args).map(|entry| &**entry)
    }
}

/// Returns the error with the name of the argument that could not be encoded or decoded.
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
