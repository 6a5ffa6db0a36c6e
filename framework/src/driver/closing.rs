//! Shared memory is taken from the workers that can write it before it is used for anything else.

use mobula_store::{Loc, is_cell};
use mobula_worker::{ObjectId, Value, WorkerId, message::ToWorker};

use super::lanes::Lanes;
use crate::core::{Comm as _, Core};

/// What workers are asked to close.
#[derive(Debug, Default)]
pub(super) struct Closings {
    under_way: Vec<Closing>,
    /// Closed everywhere, for the core.
    sealed: Vec<(ObjectId, Value)>,
}

#[derive(Debug)]
struct Closing {
    loc: Loc,
    /// Workers that have not answered.
    left: Vec<WorkerId>,
    then: Option<(ObjectId, Value)>,
}

impl Lanes {
    /// See [`Comm::close`](crate::core::Comm::close).
    pub(super) fn close_shared(&mut self, loc: Loc, then: Option<(ObjectId, Value)>) {
        let mut left = Vec::new();
        for (_, lane) in self.iter_mut() {
            lane.locks.remove(&loc);
        }
        // Slabs stay as they are: what is freed there is used as the same kind of thing again.
        if !is_cell(loc) {
            let closed = self.writables.close(loc);
            debug_assert!(closed, "{loc} is in use, although no handle of it is left");
            for (id, lane) in self.iter_mut() {
                if let Some(at) = lane.writes.iter().position(|other| *other == loc) {
                    lane.writes.swap_remove(at);
                    left.push(*id);
                }
            }
        }
        for id in &left {
            if let Some(lane) = self.touch(*id) {
                lane.send(&ToWorker::Close(loc));
            }
        }
        let closing = Closing { loc, left, then };
        if closing.left.is_empty() {
            self.closed_everywhere(closing);
        } else {
            self.closings.under_way.push(closing);
        }
    }

    /// A worker has closed it.
    pub(super) fn closed(&mut self, worker: WorkerId, loc: Loc) {
        self.strike(worker, |closing| closing.loc == loc);
    }

    /// A worker is dead.
    pub(super) fn forget_closings(&mut self, worker: WorkerId) {
        self.strike(worker, |_| true);
    }

    fn strike(&mut self, worker: WorkerId, which: impl Fn(&Closing) -> bool) {
        let mut finished = Vec::new();
        for closing in &mut self.closings.under_way {
            if which(closing) {
                closing.left.retain(|id| *id != worker);
            }
        }
        let done = |closing: &mut Closing| closing.left.is_empty();
        finished.extend(self.closings.under_way.extract_if(.., done));
        for closing in finished {
            self.closed_everywhere(closing);
        }
    }

    fn closed_everywhere(&mut self, closing: Closing) {
        match closing.then {
            None => self.free(closing.loc),
            Some(sealed) => self.closings.sealed.push(sealed),
        }
    }

    /// Passes on to the core what was closed for it; whether there was anything.
    pub(super) fn tell_sealed(&mut self, core: &mut Core) -> bool {
        let sealed = std::mem::take(&mut self.closings.sealed);
        let any = !sealed.is_empty();
        for (id, value) in sealed {
            core.sealed(id, value, self);
        }
        any
    }
}
