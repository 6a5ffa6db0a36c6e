//! The error that a remote function's `Err` becomes: text, chain and, where its type can travel,
//! the value.

use std::{any::type_name, cell::RefCell, error::Error as StdError, fmt, iter::successors};

use mobula_protocol::Error;
use mobula_store::codec::{self, type_tag};

use super::Value;

/// `Result`, by its last word. Not public API.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is named like a `Result` but is none",
    label = "not `std::result::Result`",
    note = "#[remote] takes a return type whose last word is `Result` for the standard one, and makes the ref of what is in `Ok`; give the type another name, or an alias of another name"
)]
pub trait TaskResult {
    /// The type of the value in `Ok`.
    type Value;
    /// The type of the error in `Err`.
    type Failure;

    /// Returns this value as a `Result`.
    ///
    /// # Errors
    /// The function's own.
    fn into_result(self) -> Result<Self::Value, Self::Failure>;
}

#[diagnostic::do_not_recommend]
impl<T, E> TaskResult for Result<T, E> {
    type Value = T;
    type Failure = E;

    fn into_result(self) -> Result<T, E> {
        self
    }
}

/// An error of whatever type. Method resolution finds the first trait below whose bounds hold, as
/// for codecs (see the module `probe`). Not public API.
#[derive(Debug)]
pub struct ErrorProbe<E>(RefCell<Option<E>>);

/// The tag of an error's type, and the encoded error.
pub type Typed = Option<(u64, Vec<u8>)>;

impl<E> ErrorProbe<E> {
    /// Takes the error.
    pub fn new(error: E) -> ErrorProbe<E> {
        ErrorProbe(RefCell::new(Some(error)))
    }

    /// Returns the error that fails the task. `say` makes it of the original.
    fn convert(&self, say: impl FnOnce(E) -> Error) -> Error {
        match self.0.take() {
            Some(error) => say(error),
            None => Error::internal("an error was converted twice"),
        }
    }
}

/// Errors that can travel. Not public API.
pub trait TypedLevel2 {
    /// Returns the encoded error.
    fn typed(&self) -> Typed;
}

impl<E: Value> TypedLevel2 for &ErrorProbe<E> {
    fn typed(&self) -> Typed {
        let error = self.0.borrow();
        let encoded = codec::encode(error.as_ref()?).ok()?;
        // An error with refs or arrays is not kept as a value.
        encoded
            .items
            .is_empty()
            .then(|| (type_tag::<E>(), encoded.bytes))
    }
}

/// Errors that cannot travel. Not public API.
pub trait TypedLevel1 {
    /// Returns `None`.
    fn typed(&self) -> Typed {
        None
    }
}

impl<E> TypedLevel1 for ErrorProbe<E> {}

/// Our own error, of an operation inside the function. Not public API.
pub trait ErrorLevel5 {
    /// Returns the error that fails the task.
    fn error(&self, typed: Typed) -> Error;
}

impl ErrorLevel5 for &&&&ErrorProbe<Error> {
    fn error(&self, _: Typed) -> Error {
        self.convert(Error::wrap_application)
    }
}

/// Errors with a chain of sources, and texts. Not public API.
pub trait ErrorLevel4 {
    /// Returns the error that fails the task.
    fn error(&self, typed: Typed) -> Error;
}

impl<E: Into<Box<dyn StdError>>> ErrorLevel4 for &&&ErrorProbe<E> {
    fn error(&self, typed: Typed) -> Error {
        self.convert(|error| {
            let error: Box<dyn StdError> = error.into();
            match error.downcast::<Error>() {
                Ok(own) => Error::wrap_application(*own),
                Err(error) => {
                    let chain = successors(error.source(), |&error| error.source());
                    let chain = chain.take(MAX_CHAIN).map(ToString::to_string).collect();
                    Error::from_application(error.to_string(), chain, typed)
                }
            }
        })
    }
}

/// The most sources that are reported. The limit ends a circular chain, too.
const MAX_CHAIN: usize = 64;

/// Errors that say something. Not public API.
pub trait ErrorLevel3 {
    /// Returns the error that fails the task.
    fn error(&self, typed: Typed) -> Error;
}

impl<E: fmt::Display> ErrorLevel3 for &&ErrorProbe<E> {
    fn error(&self, typed: Typed) -> Error {
        self.convert(|error| Error::from_application(error.to_string(), Vec::new(), typed))
    }
}

/// Errors that show what they are. Not public API.
pub trait ErrorLevel2 {
    /// Returns the error that fails the task.
    fn error(&self, typed: Typed) -> Error;
}

impl<E: fmt::Debug> ErrorLevel2 for &ErrorProbe<E> {
    fn error(&self, typed: Typed) -> Error {
        self.convert(|error| Error::from_application(format!("{error:?}"), Vec::new(), typed))
    }
}

/// All other errors. Not public API.
pub trait ErrorLevel1 {
    /// Returns the error that fails the task.
    fn error(&self, typed: Typed) -> Error;
}

impl<E> ErrorLevel1 for ErrorProbe<E> {
    fn error(&self, typed: Typed) -> Error {
        self.convert(|_| {
            Error::from_application(format!("a `{}`", type_name::<E>()), Vec::new(), typed)
        })
    }
}
