//! Actors that have not been created.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{CallArg, FunctionIndex, message::Args};

/// How an actor is to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorOptions {
    /// Under which it can be found. One actor has a name at any time.
    pub name: Option<String>,
    /// How often it is made anew after its process died.
    pub max_restarts: u32,
    /// How often a call is run again after the process died that ran it, if the call does not say.
    pub max_call_retries: u32,
    /// How many calls of methods without a group run at a time, at most; at least 1.
    pub max_concurrency: u32,
    /// The same for each group that a method is in; each at least 1.
    pub groups: Vec<(String, u32)>,
    /// How many calls may wait or run, before further ones fail; at least 1.
    pub max_pending_calls: Option<u32>,
    /// How long its value's `Drop` may take before the process is killed.
    pub grace: Duration,
}

impl Default for ActorOptions {
    fn default() -> ActorOptions {
        ActorOptions {
            name: None,
            max_restarts: 0,
            max_call_retries: 0,
            max_concurrency: 1,
            groups: Vec::new(),
            max_pending_calls: None,
            grace: Duration::from_secs(5),
        }
    }
}

/// An actor that has not been created yet.
#[derive(Clone, Debug)]
pub struct ActorSpec {
    /// Which function makes its value.
    pub constructor: FunctionIndex,
    /// With what.
    pub args: Args<CallArg>,
    /// How it is to be kept.
    pub options: ActorOptions,
}
