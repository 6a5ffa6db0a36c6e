//! Calls of tasks that the driver does not know of: a list of the calls that nobody has begun.
//!
//! The list is in the order of the calls. A task that waits for one of its calls takes this call
//! out and runs it. Idle workers get the latest calls of the outermost task in the list, for two
//! reasons. The task waits for its first calls first. And its calls have more work below them than
//! the calls that they make.

use std::{collections::VecDeque, sync::Arc};

use mobula_protocol::{
    Attempt, FunctionIndex, ObjectHandle, ObjectId,
    message::{ArgSpec, Args, FromWorker, TaskSpec},
};

/// Half of the most calls of one task that are looked at for an idle worker. This is also the most
/// calls that are given away at once.
const MOST: usize = 512;

/// A call that nobody has begun.
#[derive(Debug)]
pub(crate) struct KeptCall {
    pub(super) id: ObjectId,
    pub(super) function: FunctionIndex,
    pub(super) args: Args<ArgSpec>,
    /// Handles that keep the objects among the arguments. They are to be dropped without the
    /// table's lock.
    pub(super) keep: Vec<Arc<ObjectHandle>>,
    /// The run that makes the call.
    pub(super) parent: Attempt,
    /// How many runs are below that run on its thread.
    pub(super) depth: u32,
    /// Whether the result is going to be waited for.
    pub(super) expected: bool,
}

impl KeptCall {
    /// Returns the message that tells the driver of the call, and the handles that have kept its
    /// arguments.
    pub(super) fn into_spawn(self) -> (FromWorker, Vec<Arc<ObjectHandle>>) {
        let task = TaskSpec {
            id: self.id,
            function: self.function,
            args: self.args,
            options: None,
            actor: None,
        };
        (FromWorker::Spawn(task, Some(self.parent).into()), self.keep)
    }
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct KeptCalls {
    calls: VecDeque<Box<KeptCall>>,
    /// Whether the driver was told that there are kept calls.
    pub(super) told: bool,
    /// Whether an idle worker wants kept calls.
    pub(super) wanted: bool,
    /// The first call at the latest look.
    seen: Option<ObjectId>,
}

impl KeptCalls {
    /// Adds a call. Its id is the highest in the list.
    pub(super) fn push(&mut self, call: Box<KeptCall>) {
        debug_assert!(self.calls.back().is_none_or(|last| last.id < call.id));
        self.calls.push_back(call);
    }

    fn position(&self, id: ObjectId) -> Option<usize> {
        // Mostly the call is the latest or the first.
        let last = self.calls.len().checked_sub(1)?;
        if self.calls[last].id == id {
            return Some(last);
        }
        if self.calls[0].id == id {
            return Some(0);
        }
        self.calls.binary_search_by_key(&id, |call| call.id).ok()
    }

    pub(super) fn get_mut(&mut self, id: ObjectId) -> Option<&mut KeptCall> {
        let at = self.position(id)?;
        self.calls.get_mut(at).map(|call| &mut **call)
    }

    /// Takes a call out. Costs the number of calls before or behind it, whichever are fewer.
    pub(super) fn take(&mut self, id: ObjectId) -> Option<Box<KeptCall>> {
        self.take_if(id, |_| true)
    }

    /// Takes a call out if it fits.
    pub(super) fn take_if(
        &mut self,
        id: ObjectId,
        fits: impl FnOnce(&KeptCall) -> bool,
    ) -> Option<Box<KeptCall>> {
        let at = self.position(id)?;
        match fits(&self.calls[at]) {
            true => self.calls.remove(at),
            false => None,
        }
    }

    /// Takes out all calls, in order.
    pub(super) fn take_all(&mut self) -> VecDeque<Box<KeptCall>> {
        std::mem::take(&mut self.calls)
    }

    /// Takes out all calls of a run, in order.
    pub(super) fn take_of(&mut self, parent: Attempt) -> VecDeque<Box<KeptCall>> {
        let (of_run, rest) = self.calls.drain(..).partition(|call| call.parent == parent);
        self.calls = rest;
        of_run
    }

    /// Takes out the calls that an idle worker gets, in order: the latter half of the outermost
    /// task's calls.
    ///
    /// A single call is likely to be taken by its own task soon. It is given away if `is_look` and
    /// the call was the first one at the look before. `is_look`: the caller looks now and then.
    pub(super) fn take_share(&mut self, is_look: bool) -> VecDeque<Box<KeptCall>> {
        let Some(first) = self.calls.front() else {
            return VecDeque::new();
        };
        let (first, depth) = (first.id, first.depth);
        let seen = self.seen == Some(first);
        if is_look {
            self.seen = Some(first);
        }
        if !self.wanted || self.calls.len() == 1 && !(is_look && seen) {
            return VecDeque::new();
        }
        let outermost = self.calls.iter().take(2 * MOST);
        let outermost = outermost.take_while(|call| call.depth == depth).count();
        self.wanted = false;
        self.calls.drain(outermost / 2..outermost).collect()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use mobula_protocol::WorkerId;

    use super::*;

    fn call(seq: u64, depth: u32) -> Box<KeptCall> {
        Box::new(KeptCall {
            id: ObjectId {
                origin: WorkerId(1),
                seq,
            },
            function: FunctionIndex(0),
            args: Args::new(),
            keep: Vec::new(),
            parent: Attempt(0),
            depth,
            expected: false,
        })
    }

    fn calls(of: &[(u64, u32)]) -> KeptCalls {
        let mut calls = KeptCalls::default();
        for (seq, depth) in of {
            calls.push(call(*seq, *depth));
        }
        calls
    }

    fn numbers(calls: impl IntoIterator<Item = Box<KeptCall>>) -> Vec<u64> {
        calls.into_iter().map(|call| call.id.seq).collect()
    }

    #[test]
    fn calls_are_taken_from_anywhere() {
        let mut kept = calls(&[(1, 0), (3, 0), (5, 0), (8, 1)]);
        for seq in [3, 8, 1, 5] {
            let taken = kept.take(call(seq, 0).id).unwrap();
            assert_eq!(taken.id.seq, seq);
            assert!(kept.take(taken.id).is_none());
        }
        assert_eq!(numbers(kept.take_all()), []);
    }

    #[test]
    fn the_latter_half_of_the_outermost_calls_is_given_away() {
        let mut kept = calls(&[(1, 0), (2, 0), (3, 0), (4, 0), (5, 1), (6, 1)]);
        kept.wanted = true;
        assert_eq!(numbers(kept.take_share(false)), [3, 4]);
        assert!(!kept.wanted);
        assert_eq!(numbers(kept.take_share(false)), []);
        kept.wanted = true;
        assert_eq!(numbers(kept.take_share(false)), [2]);
        kept.wanted = true;
        assert_eq!(numbers(kept.take_share(false)), [1]);
        assert_eq!(numbers(kept.take_all()), [5, 6]);
    }

    #[test]
    fn a_single_call_is_given_away_when_it_was_there_at_the_look_before() {
        let mut kept = calls(&[(1, 0)]);
        kept.wanted = true;
        assert_eq!(numbers(kept.take_share(false)), []);
        assert_eq!(numbers(kept.take_share(true)), []);
        kept.take(call(1, 0).id);
        kept.push(call(2, 0));
        assert_eq!(numbers(kept.take_share(true)), []);
        assert_eq!(numbers(kept.take_share(false)), []);
        assert_eq!(numbers(kept.take_share(true)), [2]);
    }

    #[test]
    fn the_calls_of_one_run_are_taken_out() {
        let mut kept = calls(&[(1, 0), (2, 0), (3, 0)]);
        kept.get_mut(call(2, 0).id).unwrap().parent = Attempt(7);
        assert_eq!(numbers(kept.take_of(Attempt(7))), [2]);
        assert_eq!(numbers(kept.take_all()), [1, 3]);
    }
}
