//! Makes errors of each kind, with their texts.

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
    /// An `Err` of a remote function: its text, the texts of its sources, and the value itself.
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

    /// An `Err` of a remote function that is an error of ours, for example of a `get` in it. Of a
    /// row of such functions, each of which waited for the next, the text names the first failure
    /// only.
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

    /// Says in which function and process an application error arose.
    pub fn in_task<'a>(self, function: &str, process: impl Into<ProcessName<'a>>) -> Error {
        let process = process.into();
        self.with_message(|kind, message| match kind {
            Kind::Application(_) => format!("`{function}` failed ({process}): {message}"),
            _ => format!("`{function}` ({process}): {message}"),
        })
    }

    /// Says where the failure belongs, before the message.
    pub fn at(self, place: impl std::fmt::Display) -> Error {
        self.with_message(|_, message| format!("{place}: {message}"))
    }

    /// A panic in a remote function. The message becomes one line; `Debug` has all of it.
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

    /// Returns this error with the frames in which it happened, if there are any.
    pub fn with_backtrace(self, backtrace: String) -> Error {
        if backtrace.is_empty() {
            return self;
        }
        let mut inner = Arc::unwrap_or_clone(self.0);
        let text = inner.panic.take().map_or(String::new(), |panic| panic.text);
        inner.panic = Some(Panic { text, backtrace });
        Error(Arc::new(inner))
    }

    /// A task was cancelled.
    pub fn cancelled(function: &str) -> Error {
        Error::new(Kind::Cancelled, format!("`{function}` was cancelled"), None)
    }

    /// A task has passed its own limit of time.
    pub fn task_timeout(message: impl Into<String>) -> Error {
        Error::new(Kind::TaskTimeout, message, None)
    }

    /// The death of a worker process while it ran `function`.
    pub fn crash(function: &str, pid: u32, how: &str, stderr: &str) -> Error {
        let mut message = format!("the worker (pid {pid}) that ran `{function}` died: {how}");
        if !stderr.is_empty() {
            message += "; its last lines on stderr were:\n";
            message += stderr;
        }
        Error::new(Kind::Crash, message, None)
    }

    /// A process that has died somewhere in a cluster.
    pub fn lost_worker(message: impl Into<String>) -> Error {
        Error::new(Kind::Crash, message, None)
    }

    /// A value that has gone with the machine that it was on.
    pub fn lost(message: impl Into<String>) -> Error {
        Error::new(Kind::Lost, message, None)
    }

    /// A store that has no room.
    pub fn store_is_full(message: impl Into<String>) -> Error {
        Error::new(Kind::StoreFull, message, None)
    }

    /// A task that was not run, because of `cause`. Dependents of dependents name the first
    /// failure, not the whole row.
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

    /// Why an actor is dead; the message says all of it, that of the cause included.
    pub fn actor(message: impl Into<String>, cause: Option<Error>) -> Error {
        Error::new(Kind::Actor, message, cause)
    }

    /// A call that was not run, because its actor is dead, or the runtime is.
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

    /// A time limit that passed.
    pub fn timeout(message: impl Into<String>) -> Error {
        Error::new(Kind::Timeout, message, None)
    }

    /// A value of another type.
    pub fn type_mismatch(message: impl Into<String>) -> Error {
        Error::new(Kind::TypeMismatch, message, None)
    }

    /// A value that cannot be encoded or decoded.
    pub fn codec(message: impl Into<String>) -> Error {
        Error::new(Kind::Codec, message, None)
    }

    /// A runtime or worker that did not start.
    pub fn setup(message: impl Into<String>) -> Error {
        Error::new(Kind::Setup, message, None)
    }

    /// A limit of the system that is reached.
    pub fn resource_limit(message: impl Into<String>) -> Error {
        Error::new(Kind::ResourceLimit, message, None)
    }

    /// The system refused something, at a start or later: `what` says what failed.
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

    /// A runtime that is gone.
    pub fn shutdown() -> Error {
        Error::new(
            Kind::Shutdown,
            "the runtime was shut down before this result was there; keep the `Runtime` alive until its results are read",
            None,
        )
    }

    /// A handle that is used in a process that was forked off its own.
    pub fn forked() -> Error {
        Error::usage(
            "this process was forked off the one that the runtime belongs to, and cannot use it; start programs with `std::process::Command` instead",
        )
    }

    /// A call that cannot work.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(Kind::Usage, message, None)
    }

    /// A call that was not made, since too many have not ended.
    pub fn backpressure(message: impl Into<String>) -> Error {
        Error::new(Kind::Backpressure, message, None)
    }

    /// A queue that takes nothing more.
    pub fn closed(message: impl Into<String>) -> Error {
        Error::new(Kind::Closed, message, None)
    }

    /// A lock that was left by a process that died, or by a panic.
    pub fn poisoned(message: impl Into<String>) -> Error {
        Error::new(Kind::Poisoned, message, None)
    }

    /// A broken invariant, or a system call that should not fail.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(Kind::Internal, message, None)
    }

    /// The store's own error under ours.
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
