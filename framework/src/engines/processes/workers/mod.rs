//! The workers' processes: how they are started, watched, killed and replaced.

pub(super) mod backoff;
pub(super) mod death;
pub(super) mod descriptors;
pub(super) mod life;
pub(super) mod monitor;
pub(super) mod null;
pub(super) mod orphans;
pub(super) mod program;
pub(super) mod shortage;
pub(super) mod spawn;
pub(super) mod surroundings;
pub(super) mod watched;
