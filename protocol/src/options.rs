//! What a call may ask of the engine, beside a function and its arguments.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The options of a task. They travel whole: from the attribute or the call to the scheduler and to
/// the worker. `CONTRIBUTING.md` says how one is added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskOptions {
    /// How often the task may run again, whatever the reasons. `None`: as often as its actor says
    /// ([`max_call_retries`](crate::ActorOptions::max_call_retries)), and not at all without one.
    pub retries: Option<u32>,
    /// Whether it runs again after an error that its function returned, and not only after its
    /// worker's death.
    pub retry_errors: bool,
}

impl TaskOptions {
    /// Those of a function whose attribute sets none.
    pub const DEFAULT: TaskOptions = TaskOptions {
        retries: None,
        retry_errors: false,
    };

    /// Those of a call: its own, or else its function's.
    #[inline]
    pub fn of<'a>(own: &'a CallOptions, function: &'a TaskOptions) -> &'a TaskOptions {
        own.as_deref().unwrap_or(function)
    }

    /// How often the worker that has the task may run it again by itself, after errors, where
    /// `retries` are left.
    pub fn reruns(&self, retries: u32) -> u32 {
        match self.retry_errors {
            true => retries,
            false => 0,
        }
    }

    /// Whether calls with these options can share a task with others: the scheduler then knows
    /// nothing of the single call.
    pub fn fit_a_batch(&self) -> bool {
        let TaskOptions {
            // The map runs the calls of a lost batch again, one by one.
            retries,
            retry_errors,
        } = *self;
        !(retry_errors && retries.is_some_and(|retries| retries > 0))
    }
}

/// The options of one call. `None`: those of its function ([`RemoteFn::options`](crate::RemoteFn)),
/// which cost nothing to pass on.
pub type CallOptions = Option<Arc<TaskOptions>>;
