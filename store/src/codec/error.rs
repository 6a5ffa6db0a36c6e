//! The errors of the encoding.

use std::{any::type_name, fmt};

use serde::{de, ser};

/// A value that could not be written as bytes, or not be read back.
#[derive(Clone)]
pub struct CodecError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    type_name: &'static str,
    /// The number of bytes to read, or `None` when writing.
    input: Option<usize>,
    message: String,
    /// The origin of the bytes, if they name one.
    origin: Option<String>,
}

impl CodecError {
    #[cold]
    pub(super) fn encode<T: ?Sized>(cause: &dyn fmt::Display) -> CodecError {
        CodecError::new(type_name::<T>(), None, cause)
    }

    #[cold]
    pub(super) fn decode<T: ?Sized>(input: usize, cause: &dyn fmt::Display) -> CodecError {
        CodecError::new(type_name::<T>(), Some(input), cause)
    }

    fn new(type_name: &'static str, input: Option<usize>, cause: &dyn fmt::Display) -> CodecError {
        CodecError(Box::new(Inner {
            type_name,
            input,
            message: cause.to_string(),
            origin: None,
        }))
    }

    /// Returns this error with the origin of the bytes, if there is one.
    #[cold]
    pub(super) fn of_origin(mut self, origin: Option<&[u8]>) -> CodecError {
        self.0.origin = origin.map(|origin| String::from_utf8_lossy(origin).into_owned());
        self
    }

    /// Returns whether a value could not be written.
    pub fn is_encode(&self) -> bool {
        self.0.input.is_none()
    }

    /// Returns whether a value could not be read.
    pub fn is_decode(&self) -> bool {
        !self.is_encode()
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            type_name,
            input,
            message,
            origin,
        } = &*self.0;
        if let Some(origin) = origin {
            return write!(f, "{origin} does not fit `{type_name}`: {message}");
        }
        match input {
            None => write!(f, "cannot encode `{type_name}`: {message}"),
            Some(1) => write!(f, "cannot decode `{type_name}` from 1 byte: {message}"),
            Some(input) => write!(
                f,
                "cannot decode `{type_name}` from {input} bytes: {message}"
            ),
        }
    }
}

impl fmt::Debug for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CodecError({:?})", self.to_string())
    }
}

impl std::error::Error for CodecError {}

/// An error that is not yet a [`CodecError`]. It is as small as a pointer, since each element of
/// each value is returned in a result with it.
#[derive(Debug)]
#[expect(clippy::box_collection, reason = "a `String` is three times as large")]
pub(super) struct Fault(Box<String>);

impl Fault {
    #[cold]
    pub(super) fn new(message: impl fmt::Display) -> Fault {
        Fault(Box::new(message.to_string()))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

impl ser::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Fault {
        Fault::new(message)
    }
}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Fault {
        Fault::new(message)
    }
}

impl From<rmp_serde::encode::Error> for Fault {
    fn from(error: rmp_serde::encode::Error) -> Fault {
        Fault::new(error)
    }
}
