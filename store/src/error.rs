//! The error of the store.

use std::{fmt, io, sync::Arc};

use crate::{
    byte_count::ByteCount,
    limits::{Refusal, Wanted, is_limit},
};

/// An error of the store. It is opaque: the `is_..` methods tell its kind, and `Display` its text.
#[derive(Clone, Debug)]
pub struct StoreError {
    kind: Kind,
    message: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Full,
    TypeMismatch,
    InvalidHandle,
    Limit,
    Other,
}

impl StoreError {
    /// Returns the error of a store that cannot hold `wanted` further bytes: `used` bytes of
    /// `capacity` are taken.
    pub fn full(wanted: u64, used: u64, capacity: u64) -> StoreError {
        StoreError::full_because(format!(
            "the store is full: {} wanted, {} of {} in use; drop refs that are not needed any \
             more, or raise the capacity (Runtime::builder().store_capacity(..), or \
             MOBULA_STORE_CAPACITY, which comes first)",
            ByteCount(wanted),
            ByteCount(used),
            ByteCount(capacity),
        ))
    }

    /// Returns the error of a store without room, for another reason than its capacity.
    pub fn full_because(message: impl Into<String>) -> StoreError {
        StoreError::new(Kind::Full, message.into())
    }

    /// Returns the error for bytes that are read as a type that they are not.
    pub fn type_mismatch(message: impl Into<String>) -> StoreError {
        StoreError::new(Kind::TypeMismatch, message.into())
    }

    /// Returns the error for a location or handle that does not exist any more, or never did.
    pub fn invalid_handle(message: impl Into<String>) -> StoreError {
        StoreError::new(Kind::InvalidHandle, message.into())
    }

    /// Returns any other error. Usually a system call has failed.
    pub fn other(message: impl Into<String>) -> StoreError {
        StoreError::new(Kind::Other, message.into())
    }

    /// Returns the error for a limit of the system that would be exceeded.
    pub fn limit(message: impl Into<String>) -> StoreError {
        StoreError::new(Kind::Limit, message.into())
    }

    /// Returns the error of a system call that was refused. `what` names the failed step. If a
    /// limit is the reason, the message names the limits.
    pub fn refused(
        what: impl fmt::Display,
        wanted: Wanted,
        error: impl Into<io::Error>,
    ) -> StoreError {
        let error = &error.into();
        let kind = match is_limit(error) {
            true => Kind::Limit,
            false => Kind::Other,
        };
        StoreError::new(kind, format!("{what}: {}", Refusal { wanted, error }))
    }

    /// Returns whether there was no room. Later, with fewer objects alive, the call can succeed.
    pub fn is_full(&self) -> bool {
        self.kind == Kind::Full
    }

    /// Returns whether bytes were read as a type that they are not.
    pub fn is_type_mismatch(&self) -> bool {
        self.kind == Kind::TypeMismatch
    }

    /// Returns whether a location or handle did not exist any more, or never did.
    pub fn is_invalid_handle(&self) -> bool {
        self.kind == Kind::InvalidHandle
    }

    /// Returns whether a limit of the system was reached: on descriptors, threads or addresses.
    pub fn is_resource_limit(&self) -> bool {
        self.kind == Kind::Limit
    }

    fn new(kind: Kind, message: String) -> StoreError {
        StoreError {
            kind,
            message: message.into(),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StoreError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_store_tells_its_numbers() {
        let error = StoreError::full(12 << 20, 1 << 30, (1 << 30) + (1 << 28));
        assert!(error.is_full() && !error.is_invalid_handle() && !error.is_type_mismatch());
        let text = error.to_string();
        assert!(
            text.contains("12 MiB wanted, 1 GiB of 1.3 GiB in use"),
            "{text}"
        );
        assert!(text.contains("store_capacity"), "{text}");
    }
}
