//! The closing of shared memory. The workers that can write the memory close it before any other
//! use.

use std::collections::HashMap;

use mobula_protocol::{ObjectId, Value, WorkerId, message::ToWorker};
use mobula_store::{Loc, is_cell};
use smallvec::SmallVec;

use crate::engines::processes::peers::Peers;
use crate::scheduler::{Host as _, Scheduler};

/// The closings in progress. An answer costs the number of workers that were asked, for any number
/// of closings.
#[derive(Debug, Default)]
pub(in crate::engines::processes) struct Closings {
    /// The closings by location. Usually there is one, and two if an array is freed while it is
    /// being sealed.
    under_way: HashMap<Loc, SmallVec<[Closing; 1]>>,
    /// Memory that the driver has not closed yet. The list is usually empty, so each step can check
    /// all of it.
    here: Vec<Loc>,
    /// Sealed arrays that all processes have closed, for the scheduler.
    sealed: Vec<(ObjectId, Value)>,
}

#[derive(Debug)]
struct Closing {
    loc: Loc,
    /// Workers that have not answered. `WorkerId::DRIVER` stands for the driver.
    left: Vec<WorkerId>,
    then: Option<(ObjectId, Value)>,
}

impl Closings {
    fn add(&mut self, closing: Closing) {
        if closing.left.contains(&WorkerId::DRIVER) && !self.here.contains(&closing.loc) {
            self.here.push(closing.loc);
        }
        self.under_way.entry(closing.loc).or_default().push(closing);
    }

    /// Returns the workers that were asked to close this memory and have not answered.
    fn asked(&self, loc: Loc) -> Vec<WorkerId> {
        let same = self.under_way.get(&loc).into_iter().flatten();
        same.flat_map(|closing| closing.left.iter().copied())
            .collect()
    }

    /// Returns whether this worker was asked to close this memory and has not answered.
    fn is_asked(&self, worker: WorkerId, loc: Loc) -> bool {
        let mut same = self.under_way.get(&loc).into_iter().flatten();
        same.any(|closing| closing.left.contains(&worker))
    }

    /// Records that a worker has closed this memory. Removes and returns the complete closings.
    fn closed(&mut self, worker: WorkerId, loc: Loc) -> Vec<Closing> {
        let Some(same) = self.under_way.get_mut(&loc) else {
            return Vec::new();
        };
        let done = strike(same, worker);
        if same.is_empty() {
            self.under_way.remove(&loc);
        }
        done
    }

    /// Records that a worker is dead. Removes and returns the complete closings.
    fn forget(&mut self, worker: WorkerId) -> Vec<Closing> {
        let mut done = Vec::new();
        self.under_way.retain(|_, same| {
            done.extend(strike(same, worker));
            !same.is_empty()
        });
        done
    }
}

/// Removes the worker from all closings. Removes and returns the closings without further workers.
fn strike(same: &mut SmallVec<[Closing; 1]>, worker: WorkerId) -> Vec<Closing> {
    for closing in same.iter_mut() {
        closing.left.retain(|id| *id != worker);
    }
    let (done, left): (Vec<_>, Vec<_>) =
        same.drain(..).partition(|closing| closing.left.is_empty());
    same.extend(left);
    done
}

impl Peers {
    /// See [`Host::close`](crate::scheduler::Host::close).
    pub(in crate::engines::processes) fn close_shared(
        &mut self,
        loc: Loc,
        then: Option<(ObjectId, Value)>,
    ) {
        let mut left = Vec::new();
        for (_, peer) in self.iter_mut() {
            peer.locks.remove(&loc);
        }
        // Slabs stay writable: freed memory in a slab is used again for the same kind of object.
        if !is_cell(loc) {
            if !self.closed_here(loc) {
                left.push(WorkerId::DRIVER);
            }
            for (id, peer) in self.iter_mut() {
                if peer.writes.remove(&loc) {
                    left.push(id);
                }
            }
        }
        for id in left.iter().filter(|id| **id != WorkerId::DRIVER) {
            if let Some(peer) = self.touch(*id) {
                peer.send(&ToWorker::Close(loc));
            }
        }
        // If an array is freed while it is being sealed, some workers were asked already.
        left.extend(self.closings.asked(loc));
        let closing = Closing { loc, left, then };
        if closing.left.is_empty() {
            self.closed_everywhere(closing);
        } else {
            self.closings.add(closing);
        }
    }

    /// Closes the memory in the driver. Returns whether the driver has no access any more.
    fn closed_here(&self, loc: Loc) -> bool {
        self.writables.close(loc) && !self.heap.has_regions(loc)
    }

    /// Retries the closings in the driver. The driver keeps access for a moment if a thread is
    /// about to drop its handle.
    fn close_here(&mut self) {
        for loc in std::mem::take(&mut self.closings.here) {
            if self.closed_here(loc) {
                self.closed_by(WorkerId::DRIVER, loc);
            } else {
                self.closings.here.push(loc);
            }
        }
    }

    /// Handles a worker's report that it has closed the memory.
    ///
    /// # Errors
    /// The worker was not asked.
    pub(in crate::engines::processes) fn closed(
        &mut self,
        worker: WorkerId,
        loc: Loc,
    ) -> Result<(), String> {
        if !self.closings.is_asked(worker, loc) {
            return Err(format!("it said that it has closed {loc:?} unasked"));
        }
        self.closed_by(worker, loc);
        Ok(())
    }

    fn closed_by(&mut self, worker: WorkerId, loc: Loc) {
        for closing in self.closings.closed(worker, loc) {
            self.closed_everywhere(closing);
        }
    }

    /// Ends the closings of a dead worker.
    pub(in crate::engines::processes) fn forget_closings(&mut self, worker: WorkerId) {
        for closing in self.closings.forget(worker) {
            self.closed_everywhere(closing);
        }
    }

    fn closed_everywhere(&mut self, closing: Closing) {
        match closing.then {
            None => self.free(closing.loc),
            Some(sealed) => self.closings.sealed.push(sealed),
        }
    }

    /// Passes the closed arrays on to the scheduler. Returns whether there were any.
    #[inline]
    pub(in crate::engines::processes) fn tell_sealed(&mut self, scheduler: &mut Scheduler) -> bool {
        let nothing = self.closings.here.is_empty() && self.closings.sealed.is_empty();
        !nothing && self.close_and_tell(scheduler)
    }

    #[cold]
    fn close_and_tell(&mut self, scheduler: &mut Scheduler) -> bool {
        if !self.closings.here.is_empty() {
            self.close_here();
        }
        if self.closings.sealed.is_empty() {
            return false;
        }
        for (id, value) in std::mem::take(&mut self.closings.sealed) {
            scheduler.sealed(id, value, self);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mobula_store::{Backing, Capacity, Heap, SegmentFile, SegmentId, Segments, Writables};

    use super::*;
    use crate::promise::ENGINE;

    #[test]
    fn memory_that_the_driver_still_writes_is_not_freed() {
        let len = 4 << 20;
        let file = SegmentFile::create(len, len, Backing::Anonymous).unwrap();
        let capacity = Arc::new(Capacity::new(len));
        let heap = Heap::new(SegmentId(0), file, capacity.clone()).unwrap();
        let mut peers = Peers::new(
            heap.clone(),
            Arc::new(Segments::new()),
            Arc::new(Writables::new()),
            capacity,
        );
        let extent = heap.reserve_shared(1 << 20).unwrap().seal();
        drop(extent.adopt(|_| Arc::new(())));
        let region = heap.region(extent.loc(), Arc::new(()), ENGINE).unwrap();
        peers.close_shared(extent.loc(), None);
        peers.close_here();
        assert_eq!(heap.in_use(), 1 << 20);
        drop(region);
        peers.close_here();
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
            closings.add(Closing {
                loc,
                left: vec![one, two],
                then: None,
            });
        }
        let left = closings.asked(loc(0));
        assert_eq!(left, [one, two]);
        closings.add(Closing {
            loc: loc(0),
            left,
            then: None,
        });
        assert!(closings.closed(one, loc(0)).is_empty());
        // The other worker dies.
        let closed = closings.forget(two);
        assert!(closed.len() == 2 && closed.iter().all(|closing| closing.loc == loc(0)));
        assert_eq!(closings.forget(one).len(), 1);
        assert!(closings.asked(loc(0)).is_empty() && closings.under_way.is_empty());
    }

    #[test]
    fn an_answer_does_not_look_at_what_else_is_being_closed() {
        let loc = |offset| Loc {
            segment: SegmentId(0),
            offset,
            len: 1 << 14,
        };
        let (one, two) = (WorkerId(1), WorkerId(2));
        let mut closings = Closings::default();
        // A search of all closings for each answer would take minutes.
        let many = 200_000;
        for offset in 0..many {
            closings.add(Closing {
                loc: loc(offset << 14),
                left: vec![one, two],
                then: None,
            });
        }
        for offset in (0..many).rev() {
            assert!(closings.closed(one, loc(offset << 14)).is_empty());
            assert_eq!(closings.closed(two, loc(offset << 14)).len(), 1);
        }
        assert!(closings.under_way.is_empty());
    }
}
