//! The engines that can run a program's calls, and the choice among them.

pub(crate) mod inline;
mod kind;
pub(crate) mod processes;

use std::sync::Arc;

use mobula_protocol::{Engine, Result};

use crate::config::Config;
use processes::{
    Driver,
    workers::{
        null::{NullHere, NullThreads},
        workforce::{Processes, Workforce},
    },
};

pub use kind::EngineKind;
pub(crate) use kind::Kind;

/// Starts the engine that the settings say.
///
/// # Errors
/// Why it cannot start.
pub(crate) fn start(config: Config) -> Result<Arc<dyn Engine>> {
    let workforce: Box<dyn Workforce> = match config.kind {
        Kind::Inline => return Ok(inline::Inline::start(&config)?),
        Kind::Processes => Box::new(Processes),
        Kind::NullThreads => Box::new(NullThreads),
        Kind::NullHere => Box::<NullHere>::default(),
    };
    Ok(Driver::start(config, workforce)?)
}
