//! The one error of Mobula.

use std::{fmt, sync::Arc};

use mobula_store::{
    StoreError,
    codec::CodecError,
    limits::{self, Wanted},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// `Result` with Mobula's [`Error`] unless another error is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong: with the runtime, with a value, or inside a remote function.
///
/// The type is opaque; ask the predicates (`is_panic()`, `is_crash()`, ..) what kind of failure it
/// is. `Display` says what failed, where, and what to do about it;
/// [`source`](std::error::Error::source) gives the cause, for as many steps as there are, and
/// `{:#}` prints them all. A clone is a reference count. Errors travel between processes with their
/// whole chain.
#[derive(Clone, Serialize, Deserialize)]
pub struct Error(Arc<Inner>);

/// Bytes of the text of one step at most. What is longer loses its middle: a text can grow with
/// each process that it comes through, and is copied in each.
const MAX_TEXT: usize = 16 << 10;

/// Steps that a chain of causes has at most, so that no recursion of errors is a problem for those
/// who print, send or drop them.
const MAX_STEPS: usize = 32;

/// How the text of an error of ours begins that a remote function has returned.
const WRAPPED: &str = "an operation of Mobula failed inside the function";

#[derive(Clone, Serialize, Deserialize)]
struct Inner {
    kind: Kind,
    message: String,
    cause: Option<Error>,
    panic: Option<Panic>,
}

/// What one line does not hold of a panic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Panic {
    /// The message, if it has several lines.
    text: String,
    /// The frames, if they were captured.
    backtrace: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    /// A remote function returned `Err`. The bytes are the error value, where its type can travel.
    Application(Option<Typed>),
    /// A step of the chain below an application error: text only.
    Cause,
    Panic,
    Crash,
    Dependency,
    Actor,
    Timeout,
    StoreFull,
    Codec,
    TypeMismatch,
    Setup,
    Shutdown,
    Usage,
    Internal,
    Poisoned,
    ResourceLimit,
    Closed,
    Cancelled,
    TaskTimeout,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Typed {
    tag: u64,
    bytes: Vec<u8>,
}

impl Error {
    fn new(kind: Kind, message: impl Into<String>, cause: Option<Error>) -> Error {
        let cause = cause.map(Error::shortened);
        Error(Arc::new(Inner {
            kind,
            message: bounded(message.into()),
            cause,
            panic: None,
        }))
    }

    /// The same error with another message.
    fn with_message(self, message: impl FnOnce(&Kind, String) -> String) -> Error {
        let mut inner = Arc::unwrap_or_clone(self.0);
        inner.message = bounded(message(&inner.kind, inner.message));
        Error(Arc::new(inner))
    }

    /// A chain with at most [`MAX_STEPS`]: of a longer one, the first steps and the root.
    fn shortened(self) -> Error {
        let length = std::iter::successors(Some(&self), |error| error.0.cause.as_ref()).count();
        if length < MAX_STEPS {
            return self;
        }
        let root = self.root().clone();
        let steps: Vec<&Error> = std::iter::successors(Some(&self), |error| error.0.cause.as_ref())
            .take(MAX_STEPS / 2)
            .collect();
        steps.into_iter().rev().fold(root, |cause, step| {
            Error(Arc::new(Inner {
                kind: step.0.kind.clone(),
                message: step.0.message.clone(),
                cause: Some(cause),
                panic: step.0.panic.clone(),
            }))
        })
    }

    /// Whether a remote function returned this as its `Err`.
    pub fn is_application(&self) -> bool {
        matches!(self.0.kind, Kind::Application(_))
    }

    /// Whether a remote function panicked.
    pub fn is_panic(&self) -> bool {
        self.0.kind == Kind::Panic
    }

    /// Whether a worker process died while it ran the function.
    pub fn is_crash(&self) -> bool {
        self.0.kind == Kind::Crash
    }

    /// Whether the function was not run because one of its inputs had failed. The failure that
    /// came first is the [`source`](std::error::Error::source).
    pub fn is_dependency(&self) -> bool {
        self.0.kind == Kind::Dependency
    }

    /// Whether this was a call of an actor that is dead, or died before the call had ended and will
    /// not be restarted: all further calls of it fail, too. Why it is dead is the
    /// [`source`](std::error::Error::source): the error of its constructor, a crash, a kill.
    pub fn is_actor_dead(&self) -> bool {
        self.0.kind == Kind::Actor
    }

    /// Whether the caller's time limit passed. The work goes on; a later `get` may succeed.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == Kind::Timeout
    }

    /// Whether the store (or the memory behind it) had no room.
    pub fn is_store_full(&self) -> bool {
        self.0.kind == Kind::StoreFull
    }

    /// Whether a value could not be encoded or decoded.
    pub fn is_codec(&self) -> bool {
        self.0.kind == Kind::Codec
    }

    /// Whether a value was of another type than the one that was asked for.
    pub fn is_type_mismatch(&self) -> bool {
        self.0.kind == Kind::TypeMismatch
    }

    /// Whether the runtime or its workers could not be started.
    pub fn is_setup(&self) -> bool {
        self.0.kind == Kind::Setup
    }

    /// Whether the runtime was shut down before the result was there.
    pub fn is_shutdown(&self) -> bool {
        self.0.kind == Kind::Shutdown
    }

    /// Whether a call was made in a way that cannot work: no runtime, several to choose from, an
    /// option out of range.
    pub fn is_usage(&self) -> bool {
        self.0.kind == Kind::Usage
    }

    /// Whether somebody died or panicked with a shared lock, or a shared barrier is broken. The
    /// message says which process, and how it died.
    pub fn is_poisoned(&self) -> bool {
        self.0.kind == Kind::Poisoned
    }

    /// Whether the system gave no further thread, process, descriptor or address: a limit is
    /// reached, which the message names with its value. The runtime goes on, and tries again what
    /// it can; the same call may succeed later.
    pub fn is_resource_limit(&self) -> bool {
        self.0.kind == Kind::ResourceLimit
    }

    /// Whether a queue was closed: nothing goes in, and nothing more comes out.
    pub fn is_closed(&self) -> bool {
        self.0.kind == Kind::Closed
    }

    /// Whether the task was cancelled, or was not run because an input was. Of such a task,
    /// [`root`](Error::root) names the one that was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.behind_dependencies().0.kind == Kind::Cancelled
    }

    /// Whether the task's own limit of time has passed (`timeout`, `deadline`), or that of an
    /// input without which it was not run. The task does not go on, unlike after a caller's limit
    /// ([`is_timeout`](Error::is_timeout)).
    pub fn is_task_timeout(&self) -> bool {
        self.behind_dependencies().0.kind == Kind::TaskTimeout
    }

    /// The failure for which this task, and the inputs between, were not run.
    fn behind_dependencies(&self) -> &Error {
        let mut error = self;
        while let (Kind::Dependency, Some(cause)) = (&error.0.kind, &error.0.cause) {
            error = cause;
        }
        error
    }

    /// The failure at the end of the chain: for a task that was not run because an input had
    /// failed, what happened to that input; for others, their innermost cause.
    ///
    /// Costs a walk of the chain, no allocation.
    pub fn root(&self) -> &Error {
        let mut error = self;
        while let Some(cause) = &error.0.cause {
            error = cause;
        }
        error
    }

    /// Where a remote function panicked, if this error, or a cause of it, is a panic and the worker
    /// had `RUST_BACKTRACE=1` (or `RUST_LIB_BACKTRACE=1`) in its environment: a frame in one or two
    /// lines each, from the panic to the remote function. With `RUST_BACKTRACE=full`, the frames of
    /// the standard library and of Mobula too.
    ///
    /// Costs a walk of the chain of causes.
    pub fn backtrace(&self) -> Option<&str> {
        self.steps()
            .filter_map(|error| error.0.panic.as_ref())
            .map(|panic| panic.backtrace.as_str())
            .find(|backtrace| !backtrace.is_empty())
    }

    /// This error and its causes.
    fn steps(&self) -> impl Iterator<Item = &Error> {
        std::iter::successors(Some(self), |error| error.0.cause.as_ref())
    }

    /// The error value that the remote function returned, where this error (or the failed input
    /// behind it) is an application error whose type is `E` and can travel. Decodes the value.
    pub fn application<E: Serialize + DeserializeOwned + 'static>(&self) -> Option<E> {
        let mut error = Some(self);
        while let Some(e) = error {
            if let Kind::Application(Some(typed)) = &e.0.kind
                && typed.tag == mobula_store::codec::type_tag::<E>()
            {
                return mobula_store::codec::decode(&typed.bytes, &[]).ok();
            }
            error = e.0.cause.as_ref();
        }
        None
    }
}

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
    pub fn in_task(self, function: &str, pid: u32) -> Error {
        self.with_message(|kind, message| match kind {
            Kind::Application(_) => format!("`{function}` failed (pid {pid}): {message}"),
            _ => format!("`{function}` (pid {pid}): {message}"),
        })
    }

    /// Says where the failure belongs, before the message.
    pub fn at(self, place: impl std::fmt::Display) -> Error {
        self.with_message(|_, message| format!("{place}: {message}"))
    }

    /// A panic in a remote function. The message becomes one line; `Debug` has all of it.
    pub fn panic(function: &str, pid: u32, location: &str, message: &str) -> Error {
        let line = one_line(message);
        let place = format!("`{function}` panicked at {location} (pid {pid})");
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

    /// The same with the frames in which it happened, if there are any.
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

    /// The same failure, seen from somewhere else.
    pub fn context(self, message: impl Into<String>) -> Error {
        Error::new(self.0.kind.clone(), message, Some(self))
    }
}

/// A text in one line: its lines without what surrounds them, with `; ` in between.
pub(crate) fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("; ")
}

/// The text, or its beginning and its end.
fn bounded(text: String) -> String {
    if text.len() <= MAX_TEXT {
        return text;
    }
    let half = MAX_TEXT / 2 - 50;
    let is_boundary = |at: &usize| text.is_char_boundary(*at);
    let begin = (0..=half).rev().find(is_boundary).unwrap_or(0);
    let end = text.len() - half;
    let end = (end..text.len()).find(is_boundary).unwrap_or(text.len());
    let left_out = end - begin;
    format!(
        "{} [.. {left_out} bytes left out ..] {}",
        &text[..begin],
        &text[end..]
    )
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if f.alternate() && !matches!(self.0.kind, Kind::Dependency | Kind::Actor) {
            let mut cause = &self.0.cause;
            while let Some(error) = cause {
                write!(f, ": {}", error.0.message)?;
                cause = &error.0.cause;
            }
        }
        Ok(())
    }
}

/// As `Display`, then the causes, a line each, then what a line does not hold of a panic: what a
/// `main` that returns the error prints.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        let mut cause = &self.0.cause;
        if cause.is_some() {
            f.write_str("\n\nCaused by:")?;
        }
        while let Some(error) = cause {
            write!(f, "\n    {}", error.0.message)?;
            cause = &error.0.cause;
        }
        if let Some(panic) = self.steps().find_map(|error| error.0.panic.as_ref()) {
            for (title, text) in [
                ("Message of the panic", &panic.text),
                ("Stack backtrace", &panic.backtrace),
            ] {
                if !text.is_empty() {
                    write!(f, "\n\n{title}:\n{text}")?;
                }
            }
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn an_application_error_keeps_its_chain_and_its_value() {
        let typed = mobula_store::codec::encode(&7_u32).unwrap().bytes;
        let error = Error::from_application(
            "outer".into(),
            vec!["middle".into(), "inner".into()],
            Some((mobula_store::codec::type_tag::<u32>(), typed)),
        )
        .in_task("score", 17);
        assert!(error.is_application());
        assert_eq!(error.to_string(), "`score` failed (pid 17): outer");
        assert_eq!(
            format!("{error:#}"),
            "`score` failed (pid 17): outer: middle: inner"
        );
        assert_eq!(error.source().unwrap().to_string(), "middle");
        assert_eq!(error.root().to_string(), "inner");
        assert_eq!(error.application::<u32>(), Some(7));
        assert_eq!(error.application::<u64>(), None);
    }

    #[test]
    fn a_row_of_dependents_names_the_first_failure_only() {
        let root = Error::panic("first", 1, "a.rs:1:1", "boom");
        let mut error = root.clone();
        for _ in 0..10_000 {
            error = Error::dependency("next", &error);
        }
        assert!(error.is_dependency() && !error.is_panic());
        assert_eq!(error.root().to_string(), root.to_string());
        assert!(
            error
                .to_string()
                .contains("`first` panicked at a.rs:1:1 (pid 1): boom")
        );
        assert!(error.to_string().len() < 200);
    }

    #[test]
    fn a_panic_is_one_line_and_the_rest_is_kept() {
        let message = "assertion `left == right` failed\n  left: 1\n right: 2";
        let error = Error::panic("f", 7, "a.rs:1:2", message);
        let line =
            "`f` panicked at a.rs:1:2 (pid 7): assertion `left == right` failed; left: 1; right: 2";
        assert_eq!(error.to_string(), line);
        assert_eq!(error.backtrace(), None);
        let error = error.with_backtrace("   0: f".to_owned());
        let error = Error::dependency("g", &error);
        assert!(error.to_string().ends_with(line));
        assert_eq!(error.backtrace(), Some("   0: f"));
        let all = format!("{error:?}");
        assert!(
            all.contains(message) && all.ends_with("Stack backtrace:\n   0: f"),
            "{all}"
        );
        let bytes = rmp_serde::to_vec(&error).unwrap();
        let back: Error = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(format!("{back:?}"), all);
    }

    #[test]
    fn a_call_of_a_dead_actor_tells_why() {
        let typed = mobula_store::codec::encode(&7_u32).unwrap().bytes;
        let typed = Some((mobula_store::codec::type_tag::<u32>(), typed));
        let why =
            Error::from_application("no disk".into(), vec![], typed).in_task("Counter::new", 17);
        let error = Error::actor_dead("Counter::add", &why);
        assert!(error.is_actor_dead() && !error.is_application());
        assert!(error.to_string().contains("no disk"), "{error}");
        assert!(error.root().is_application());
        assert_eq!(error.application::<u32>(), Some(7));
        let killed = Error::actor("the actor `c` was killed", None);
        assert!(
            Error::actor_dead("Counter::add", &killed)
                .root()
                .is_actor_dead()
        );
        assert!(Error::dependency("sum", &error).is_dependency());
    }

    #[test]
    fn a_long_chain_keeps_its_ends() {
        let mut error = Error::panic("deepest", 1, "a.rs:1:1", "boom");
        for depth in 0..1000 {
            error = Error::wrap_application(error).in_task(&format!("f{depth}"), 1);
        }
        assert!(error.to_string().starts_with("`f999` failed"));
        assert!(error.root().is_panic());
        // One step names the first failure, not all steps before it.
        let text = error.to_string();
        assert!(text.len() < 300 && text.contains("boom"), "{text}");
        assert!(!text.contains("`f998`"), "{text}");
        let bytes = rmp_serde::to_vec(&error).unwrap();
        assert!(bytes.len() < 300 * (MAX_STEPS + 1), "{}", bytes.len());
        assert!(
            std::iter::successors(error.source(), |&cause| cause.source()).count() <= MAX_STEPS
        );
    }

    #[test]
    fn a_text_that_grows_is_bounded() {
        let mut error = Error::panic("f", 1, "a.rs:1:1", &"é".repeat(20_000));
        for n in 0..1_000 {
            error = error.at(format!("call {n} of a map"));
        }
        let text = error.to_string();
        assert!(text.len() <= MAX_TEXT && text.len() > MAX_TEXT / 2);
        assert!(text.starts_with("call 999 of a map: ") && text.ends_with('é'));
        assert!(text.contains("bytes left out"), "{text}");
        let long = "x".repeat(MAX_TEXT);
        assert_eq!(bounded(long.clone()), long);
    }

    #[test]
    fn errors_travel() {
        let error = Error::dependency(
            "b",
            &Error::crash("a", 3, "signal 9 (SIGKILL)", "last words"),
        );
        let bytes = rmp_serde::to_vec(&error).unwrap();
        let back: Error = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(format!("{back:?}"), format!("{error:?}"));
        assert!(back.root().is_crash());
    }
}
