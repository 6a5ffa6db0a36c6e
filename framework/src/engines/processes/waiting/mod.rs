//! Waiting for results: who reads what workers have said, how long it spins, and who sleeps.

pub(super) mod background;
pub(super) mod idle;
pub(super) mod poll_policy;
pub(super) mod sleepers;
pub(super) mod task_duration;
pub(super) mod wait;
