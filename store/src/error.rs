//! What can go wrong in the store.

use std::{fmt, io, sync::Arc};

use crate::{
    byte_count::ByteCount,
    limits::{Refusal, Wanted, is_limit},
};

/// An error of the store. It is opaque: ask it with the `is_..` methods, or print it.
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
    /// The store cannot hold `wanted` further bytes: `used` bytes of `capacity` are taken.
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

    /// There is no room, for another reason than the store's capacity.
    pub fn full_because(message: impl Into<String>) -> StoreError {
        StoreError::new(Kind::Full, message.into())
    }

    /// The bytes are not what they were asked to be read as.
    pub fn type_mismatch(message: impl Into<String>) -> StoreError {
        StoreError::new(Kind::TypeMismatch, message.into())
    }

    /// A location or handle names nothing, or something that is gone.
    pub fn invalid_handle(message: impl Into<String>) -> StoreError {
        StoreError::new(Kind::InvalidHandle, message.into())
    }

    /// Anything else; mostly a system call that failed.
    pub fn other(message: impl Into<String>) -> StoreError {
        StoreError::new(Kind::Other, message.into())
    }

    /// A limit of the system would be exceeded.
    pub fn limit(message: impl Into<String>) -> StoreError {
        StoreError::new(Kind::Limit, message.into())
    }

    /// The system refused something: `what` says what failed. The message says which limits there
    /// are, if one of them is the reason.
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

    /// Whether there was no room. Later, with fewer objects alive, the same call can succeed.
    pub fn is_full(&self) -> bool {
        self.kind == Kind::Full
    }

    /// Whether bytes were asked to be read as a type that they are not.
    pub fn is_type_mismatch(&self) -> bool {
        self.kind == Kind::TypeMismatch
    }

    /// Whether a location or handle named nothing, or something that is gone.
    pub fn is_invalid_handle(&self) -> bool {
        self.kind == Kind::InvalidHandle
    }

    /// Whether a limit of the system was reached: on descriptors, threads or addresses.
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
