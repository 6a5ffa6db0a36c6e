//! Constructors of errors of each kind, with their texts.

use std::{fmt, sync::Arc};

use mobula_store::{
    StoreError,
    codec::CodecError,
    limits::{self, Wanted},
};

use super::{Error, Inner, Kind, Panic, Typed, bounded, one_line};
use crate::node::ProcessName;

/// The beginning of the text of an error of Mobula that a remote function has returned.
const WRAPPED: &str = "an operation of Mobula failed inside the function";

/// Not public API: for the crates of Mobula and for code that `#[remote]` generates.
#[doc(hidden)]
impl Error {
    /// Returns the error for an `Err` of a remote function. It has the `Err`'s text, the texts of
    /// its sources, and the value itself.
    pub fn from_application(
        message: String,
        chain: Vec<String>,
        typed: Option<(u64, Vec<u8>)>,
    ) -> Error {
        let cause = chain.into_iter().rev().fold(None, |cause, text| {
            Some(Error::new(Kind::Cause, text, cause))
        });
        let typed = typed.map(|(tag, bytes)| Typed { tag, bytes });
        Error::new(Kind::Application(typed), message, cause)
    }

    /// Returns the error for an `Err` of a remote function that is an error of Mobula, for example
    /// of a `get` in it. If each of several such functions waited for the next, the text names only
    /// the first failure.
    pub fn wrap_application(cause: Error) -> Error {
        let (mut first, mut steps) = (&cause, 0);
        while let (Kind::Application(None), Some(next)) = (&first.0.kind, &first.0.cause)
            && first.0.message.contains(WRAPPED)
        {
            (first, steps) = (next, steps + 1);
        }
        let message = match steps {
            0 => format!("{WRAPPED}: {first}"),
            _ => format!("{WRAPPED}, and inside of those that it called: {first}"),
        };
        Error::new(Kind::Application(None), message, Some(cause))
    }

    /// Returns this error with its function and its process before the message.
    pub fn in_task<'a>(self, function: &str, process: impl Into<ProcessName<'a>>) -> Error {
        let process = process.into();
        self.with_message(|kind, message| match kind {
            Kind::Application(_) => format!("`{function}` failed ({process}): {message}"),
            _ => format!("`{function}` ({process}): {message}"),
        })
    }

    /// Returns this error with `place` before the message.
    pub fn at(self, place: impl std::fmt::Display) -> Error {
        self.with_message(|_, message| format!("{place}: {message}"))
    }

    /// Returns the error for a panic in a remote function. The message becomes one line. `Debug`
    /// has all of it.
    pub fn panic<'a>(
        function: &str,
        process: impl Into<ProcessName<'a>>,
        location: &str,
        message: &str,
    ) -> Error {
        let line = one_line(message);
        let process = process.into();
        let place = format!("`{function}` panicked at {location} ({process})");
        let mut inner = Inner {
            kind: Kind::Panic,
            message: bounded(format!("{place}: {line}")),
            cause: None,
            panic: None,
        };
        if line != message {
            inner.panic = Some(Panic {
                text: bounded(message.to_owned()),
                backtrace: String::new(),
            });
        }
        Error(Arc::new(inner))
    }

    /// Returns this error with a backtrace, unless the backtrace is empty.
    pub fn with_backtrace(self, backtrace: String) -> Error {
        if backtrace.is_empty() {
            return self;
        }
        let mut inner = Arc::unwrap_or_clone(self.0);
        let text = inner.panic.take().map_or(String::new(), |panic| panic.text);
        inner.panic = Some(Panic { text, backtrace });
        Error(Arc::new(inner))
    }

    /// Returns the error for a task that was cancelled.
    pub fn cancelled(function: &str) -> Error {
        Error::new(Kind::Cancelled, format!("`{function}` was cancelled"), None)
    }

    /// Returns the error for a task that has passed its own time limit.
    pub fn task_timeout(message: impl Into<String>) -> Error {
        Error::new(Kind::TaskTimeout, message, None)
    }

    /// Returns the error for the death of a worker process while it ran `function`.
    pub fn crash(function: &str, pid: u32, how: &str, stderr: &str) -> Error {
        let mut message = format!("the worker (pid {pid}) that ran `{function}` died: {how}");
        if !stderr.is_empty() {
            message += "; its last lines on stderr were:\n";
            message += stderr;
        }
        Error::new(Kind::Crash, message, None)
    }

    /// Returns the error for a process of a cluster that has died.
    pub fn lost_worker(message: impl Into<String>) -> Error {
        Error::new(Kind::Crash, message, None)
    }

    /// Returns the error for a value that was lost with its machine.
    pub fn lost(message: impl Into<String>) -> Error {
        Error::new(Kind::Lost, message, None)
    }

    /// Returns the error for a store that has no room.
    pub fn store_is_full(message: impl Into<String>) -> Error {
        Error::new(Kind::StoreFull, message, None)
    }

    /// Returns the error for a task that was not run because its input failed with `cause`. In a
    /// chain of such tasks, the text names only the first failure.
    pub fn dependency(function: &str, cause: &Error) -> Error {
        let first = match (&cause.0.kind, &cause.0.cause) {
            (Kind::Dependency, Some(first)) => first,
            _ => cause,
        };
        Error::new(
            Kind::Dependency,
            format!("`{function}` was not run, because an input failed: {first}"),
            Some(first.clone()),
        )
    }

    /// Returns the error that says why an actor is dead. `message` must include the cause's text.
    pub fn actor(message: impl Into<String>, cause: Option<Error>) -> Error {
        Error::new(Kind::Actor, message, cause)
    }

    /// Returns the error for a call that was not run because its actor is dead. If the runtime has
    /// ended, returns `why`.
    pub fn actor_dead(function: &str, why: &Error) -> Error {
        if why.is_shutdown() {
            return why.clone();
        }
        Error::new(
            Kind::Actor,
            format!("`{function}` was not run, because its actor is dead: {why}"),
            Some(why.clone()),
        )
    }

    /// Returns the error for a time limit that has passed.
    pub fn timeout(message: impl Into<String>) -> Error {
        Error::new(Kind::Timeout, message, None)
    }

    /// Returns the error for a value of another type.
    pub fn type_mismatch(message: impl Into<String>) -> Error {
        Error::new(Kind::TypeMismatch, message, None)
    }

    /// Returns the error for a value that cannot be encoded or decoded.
    pub fn codec(message: impl Into<String>) -> Error {
        Error::new(Kind::Codec, message, None)
    }

    /// Returns the error for a runtime or worker that did not start.
    pub fn setup(message: impl Into<String>) -> Error {
        Error::new(Kind::Setup, message, None)
    }

    /// Returns the error for a limit of the system that is reached.
    pub fn resource_limit(message: impl Into<String>) -> Error {
        Error::new(Kind::ResourceLimit, message, None)
    }

    /// Returns the error for a request that the system refused. `what` names the request. The kind
    /// depends on whether `error` is a limit of the system.
    pub fn refused(
        what: impl fmt::Display,
        wanted: Wanted,
        error: impl Into<std::io::Error>,
    ) -> Error {
        let error = error.into();
        match limits::is_limit(&error) {
            true => Error::resource_limit(format!(
                "{what}: {error}; {}",
                limits::advice(wanted, &error)
            )),
            false => Error::setup(format!("{what}: {error}")),
        }
    }

    /// Returns the error for a runtime that has ended.
    pub fn shutdown() -> Error {
        Error::new(
            Kind::Shutdown,
            "the runtime was shut down before this result was there; keep the `Runtime` alive until its results are read",
            None,
        )
    }

    /// Returns the error for a handle that is used in a forked child of its process.
    pub fn forked() -> Error {
        Error::usage(
            "this process was forked off the one that the runtime belongs to, and cannot use it; start programs with `std::process::Command` instead",
        )
    }

    /// Returns the error for wrong use of the API.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(Kind::Usage, message, None)
    }

    /// Returns the error for a call that was not made, since too many calls are pending.
    pub fn backpressure(message: impl Into<String>) -> Error {
        Error::new(Kind::Backpressure, message, None)
    }

    /// Returns the error for a closed queue.
    pub fn closed(message: impl Into<String>) -> Error {
        Error::new(Kind::Closed, message, None)
    }

    /// Returns the error for a lock whose owner died or panicked.
    pub fn poisoned(message: impl Into<String>) -> Error {
        Error::new(Kind::Poisoned, message, None)
    }

    /// Returns the error for a broken invariant, or for a system call that should not fail.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(Kind::Internal, message, None)
    }

    /// Returns an error of the kind of the store's error, with its text.
    pub fn store(error: &StoreError) -> Error {
        let kind = if error.is_full() {
            Kind::StoreFull
        } else if error.is_type_mismatch() {
            Kind::TypeMismatch
        } else if error.is_resource_limit() {
            Kind::ResourceLimit
        } else {
            Kind::Internal
        };
        Error::new(kind, error.to_string(), None)
    }

    /// Returns an error of this kind, with this error as its cause.
    pub fn context(self, message: impl Into<String>) -> Error {
        Error::new(self.0.kind.clone(), message, Some(self))
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Error {
        Error::store(&error)
    }
}

impl From<CodecError> for Error {
    fn from(error: CodecError) -> Error {
        Error::codec(error.to_string())
    }
}
