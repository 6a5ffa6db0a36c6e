//! The planned end of a worker.

use mobula_protocol::{Attempt, FunctionIndex};

/// The scheduler's record of a worker's planned end.
#[derive(Clone, Debug, Default)]
pub(super) struct Term {
    /// The number of assigned calls, for each function with a limit.
    calls: Vec<(FunctionIndex, u32)>,
    /// The attempt with whose assignment the worker retired, if an assignment retired it.
    pub(super) last: Option<Attempt>,
    /// Whether the scheduler has requested a replacement.
    pub(super) replaced: bool,
}

impl Term {
    /// Returns whether any calls have been counted.
    pub(super) fn counts_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// Returns the call counter of the function.
    pub(super) fn calls_of(&mut self, function: FunctionIndex) -> &mut u32 {
        let known = self.calls.iter().position(|(of, _)| *of == function);
        let at = known.unwrap_or_else(|| {
            self.calls.push((function, 0));
            self.calls.len() - 1
        });
        &mut self.calls[at].1
    }
}
