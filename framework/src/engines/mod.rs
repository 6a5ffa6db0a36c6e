//! The engines that can run a program's calls.

pub(crate) mod inline;
pub(crate) mod processes;
pub(crate) mod ray;

use std::sync::Arc;

use mobula_protocol::{Engine, Result};

use crate::{config::Config, engine_kind::Kind};
use processes::{
    Driver,
    workers::{
        null::{NullHere, NullThreads},
        threads::Threads,
        workforce::{Processes, Workforce},
    },
};

/// Starts the engine that `config` names. For `ray-job`, ends this process after the job.
///
/// # Errors
/// The errors of the engine's start.
pub(crate) fn start(config: Config) -> Result<Arc<dyn Engine>> {
    let workforce: Box<dyn Workforce> = match &config.kind {
        Kind::Inline => return Ok(inline::Inline::start(&config)?),
        Kind::Ray(address) => return ray::start(&config, address),
        #[cfg(feature = "ray-job")]
        Kind::RayJob(address) => {
            let entry = crate::init::worker_entry()?;
            let code = crate::ray_job::run(address, &entry.args, &entry.env)?;
            std::process::exit(code)
        }
        Kind::Processes => Box::new(Processes),
        Kind::Threads => Box::<Threads>::default(),
        Kind::NullThreads => Box::new(NullThreads),
        Kind::NullHere => Box::<NullHere>::default(),
    };
    Ok(Driver::start(config, workforce)?)
}
