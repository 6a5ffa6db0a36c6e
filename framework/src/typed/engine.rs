//! The engine of this process, for calls and values that name none.

use std::sync::Arc;

use mobula_worker::{Client, Result};

/// The engine of this process: in a worker its driver's, in a driver that of its only runtime.
///
/// # Errors
/// There is none, or more than one.
pub(crate) fn current_client() -> Result<Arc<dyn Client>> {
    #[cfg(test)]
    if let Some(client) = super::testing::current() {
        return Ok(client);
    }
    crate::current::current_client()
}
