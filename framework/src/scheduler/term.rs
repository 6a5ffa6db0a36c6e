//! What the scheduler knows of the planned end of a worker.

use mobula_protocol::{Attempt, FunctionIndex};

/// What a worker knows of its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Term {
    /// The calls of functions with a limit that were handed over, by function.
    calls: Vec<(FunctionIndex, u32)>,
    /// With which hand-over the worker has retired, if it was that.
    pub(super) last: Option<Attempt>,
    /// A new one was asked for in its place.
    pub(super) replaced: bool,
}

impl Term {
    /// Whether any calls have been counted.
    pub(super) fn counts_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// The calls of this function, to be changed.
    pub(super) fn calls_of(&mut self, function: FunctionIndex) -> &mut u32 {
        let known = self.calls.iter().position(|(of, _)| *of == function);
        let at = known.unwrap_or_else(|| {
            self.calls.push((function, 0));
            self.calls.len() - 1
        });
        &mut self.calls[at].1
    }
}
