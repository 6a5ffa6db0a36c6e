//! The engine of this process, for calls and values that name none.

use std::sync::Arc;

use mobula_protocol::{Engine, Result};

/// Returns the engine of this process. In a worker, it is the engine of the worker's driver. In a
/// driver, it is the engine of the only runtime.
///
/// # Errors
/// There is none, or more than one.
pub(crate) fn current_engine() -> Result<Arc<dyn Engine>> {
    #[cfg(test)]
    if let Some(engine) = super::testing::current() {
        return Ok(engine);
    }
    crate::current::current_engine()
}
