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

impl Closings {
    /// Workers that were asked to close this and have not answered.
    fn asked(&self, loc: Loc) -> Vec<WorkerId> {
        let same = |closing: &&Closing| closing.loc == loc;
        let asked = self.under_way.iter().filter(same);
        asked.flat_map(|closing| closing.left.clone()).collect()
    }

    /// Takes out what is closed everywhere, now that a worker has closed some of it.
    fn strike(&mut self, worker: WorkerId, which: impl Fn(&Closing) -> bool) -> Vec<Closing> {
        for closing in &mut self.under_way {
            if which(closing) {
                closing.left.retain(|id| *id != worker);
            }
        }
        let done = |closing: &mut Closing| closing.left.is_empty();
        self.under_way.extract_if(.., done).collect()
    }
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
            if !self.closed_here(loc) {
                left.push(WorkerId::DRIVER);
            }
            for (id, lane) in self.iter_mut() {
                if let Some(at) = lane.writes.iter().position(|other| *other == loc) {
                    lane.writes.swap_remove(at);
                    left.push(*id);
                }
            }
        }
        for id in left.iter().filter(|id| **id != WorkerId::DRIVER) {
            if let Some(lane) = self.touch(*id) {
                lane.send(&ToWorker::Close(loc));
            }
        }
        // Those that are asked already, where an array goes while it is being sealed.
        left.extend(self.closings.asked(loc));
        let closing = Closing { loc, left, then };
        if closing.left.is_empty() {
            self.closed_everywhere(closing);
        } else {
            self.closings.under_way.push(closing);
        }
    }

    /// Whether the driver itself has no access to it any more.
    fn closed_here(&self, loc: Loc) -> bool {
        self.writables.close(loc) && !self.heap.has_regions(loc)
    }

    /// Looks again at what the driver itself had still access to when it was to be closed: for a
    /// moment, where a thread is about to drop its handle.
    fn close_here(&mut self) {
        let waits = |closing: &&Closing| closing.left.contains(&WorkerId::DRIVER);
        let waiting = self.closings.under_way.iter().filter(waits);
        let waiting: Vec<Loc> = waiting.map(|closing| closing.loc).collect();
        for loc in waiting {
            if self.closed_here(loc) {
                self.closed(WorkerId::DRIVER, loc);
            }
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
        for closing in self.closings.strike(worker, which) {
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
        if !self.closings.under_way.is_empty() {
            self.close_here();
        }
        if self.closings.sealed.is_empty() {
            return false;
        }
        for (id, value) in std::mem::take(&mut self.closings.sealed) {
            core.sealed(id, value, self);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mobula_store::{Backing, Capacity, Heap, SegmentFile, SegmentId, Segments, Writables};

    use super::*;

    #[test]
    fn memory_that_the_driver_still_writes_is_not_freed() {
        let len = 4 << 20;
        let file = SegmentFile::create(len, len, Backing::Anonymous).unwrap();
        let capacity = Arc::new(Capacity::new(len));
        let heap = Heap::new(SegmentId(0), file, capacity.clone()).unwrap();
        let mut lanes = Lanes::new(
            heap.clone(),
            Arc::new(Segments::new()),
            Arc::new(Writables::new()),
            capacity,
        );
        let extent = heap.reserve_shared(1 << 20).unwrap().seal();
        drop(extent.adopt(|_| Arc::new(())));
        let region = heap.region(extent.loc(), Arc::new(())).unwrap();
        lanes.close_shared(extent.loc(), None);
        lanes.close_here();
        assert_eq!(heap.in_use(), 1 << 20);
        drop(region);
        lanes.close_here();
        assert_eq!(heap.in_use(), 0);
    }

    #[test]
    fn memory_that_goes_while_it_is_being_closed_waits_for_the_same_workers() {
        let loc = |offset| Loc {
            segment: SegmentId(0),
            offset,
            len: 1 << 20,
        };
        let (one, two) = (WorkerId(1), WorkerId(2));
        let mut closings = Closings::default();
        for loc in [loc(0), loc(1 << 20)] {
            closings.under_way.push(Closing {
                loc,
                left: vec![one, two],
                then: None,
            });
        }
        let left = closings.asked(loc(0));
        assert_eq!(left, [one, two]);
        closings.under_way.push(Closing {
            loc: loc(0),
            left,
            then: None,
        });
        let first = |closing: &Closing| closing.loc == loc(0);
        assert!(closings.strike(one, first).is_empty());
        // The other one dies.
        let closed = closings.strike(two, |_| true);
        assert!(closed.len() == 2 && closed.iter().all(first));
        assert_eq!(closings.strike(one, |_| true).len(), 1);
        assert!(closings.asked(loc(0)).is_empty() && closings.under_way.is_empty());
    }
}
