//! Waiting for results: which thread reads the workers' answers, how long it spins, and which
//! threads sleep.

pub(super) mod background;
pub(super) mod idle;
pub(super) mod poll_policy;
pub(super) mod sleepers;
pub(super) mod task_duration;
pub(super) mod wait;
