//! The error type of Mobula.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

mod chain;
mod constructors;
mod predicates;
mod text;

#[cfg(test)]
mod tests;

use text::bounded;
pub(crate) use text::one_line;

/// `Result` with Mobula's [`Error`] unless another error is named.
///
/// # Examples
/// ```
/// use mobula::prelude::*;
///
/// fn load(rt: &Runtime) -> mobula::Result<ObjectRef<String>> {
///     rt.put("text")
/// }
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// assert_eq!(load(&rt)?.get()?, "text");
/// # Ok(())
/// # }
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of the runtime, of a value, or inside a remote function.
///
/// The type is opaque. Predicates (`is_panic()`, `is_crash()`, ..) say which kind of failure it is.
/// `Display` says what failed, where, and what to do about it.
/// [`source`](std::error::Error::source) returns the cause of each step in the chain. `{:#}` prints
/// the whole chain. A clone costs a reference count. Errors travel between processes with their
/// whole chain.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn parse(text: &str) -> Result<u32, std::num::ParseIntError> {
///     text.parse()
/// }
///
/// #[remote]
/// fn double(n: u32) -> u32 {
///     2 * n
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let parsed = parse::remote("seven").spawn();
/// let error = double::remote(&parsed).spawn().get().unwrap_err();
/// assert!(error.is_dependency() && error.root().is_application());
/// assert!(error.to_string().contains("`parse`") && error.to_string().contains("invalid digit"));
/// # drop(rt);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct Error(Arc<Inner>);

/// The largest number of steps in a chain of causes. Code that prints, sends or drops errors
/// recurses no deeper than this.
const MAX_STEPS: usize = 32;

#[derive(Clone, Serialize, Deserialize)]
struct Inner {
    kind: Kind,
    message: String,
    cause: Option<Error>,
    panic: Option<Panic>,
}

/// The parts of a panic that one line does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Panic {
    /// The message, if it has several lines.
    text: String,
    /// The frames, if they were captured.
    backtrace: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    /// A remote function returned `Err`. The bytes are the error value, if its type can travel.
    Application(Option<Typed>),
    /// A step of the chain below an application error. It has text only.
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
    Backpressure,
    Lost,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Typed {
    tag: u64,
    bytes: Vec<u8>,
}

impl Error {
    #[cold]
    fn new(kind: Kind, message: impl Into<String>, cause: Option<Error>) -> Error {
        let cause = cause.map(Error::shortened);
        Error(Arc::new(Inner {
            kind,
            message: bounded(message.into()),
            cause,
            panic: None,
        }))
    }

    /// Returns this error with another message.
    fn with_message(self, message: impl FnOnce(&Kind, String) -> String) -> Error {
        let mut inner = Arc::unwrap_or_clone(self.0);
        inner.message = bounded(message(&inner.kind, inner.message));
        Error(Arc::new(inner))
    }

    /// Returns a chain with at most [`MAX_STEPS`]. A longer one keeps its first steps and its root.
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

/// Prints the text of `Display`, then each cause in a line, then all lines of a panic. A `main`
/// that returns the error prints this.
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
