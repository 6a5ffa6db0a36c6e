//! The workers: how they are started, watched, killed and replaced.
//!
//! The driver gets them from a [`Workforce`](workforce::Workforce): worker processes, workers
//! in threads, or null workers, which only measurements use.

pub(super) mod backoff;
pub(super) mod cores;
pub(super) mod death;
pub(super) mod descriptors;
pub(super) mod life;
pub(super) mod monitor;
pub(in crate::engines::processes) mod no_process;
pub(in crate::engines) mod null;
pub(super) mod program;
pub(super) mod shortage;
pub(super) mod spawn;
pub(super) mod surroundings;
pub(in crate::engines) mod threads;
mod titles;
pub(super) mod watched;
pub(in crate::engines) mod workforce;
