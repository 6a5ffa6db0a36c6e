//! The workers that keep decoded values, by object.
//!
//! A decoded value does not count as a ref to its object. Workers get a message when the object is
//! freed. They then drop the value and its refs to arrays.

use mobula_protocol::{ObjectId, WorkerId, message::ToWorker};

use super::{Host, Scheduler};

impl Scheduler {
    /// Records that the worker keeps a decoded value of an existing object.
    pub(super) fn keeps_decoded(&mut self, worker: WorkerId, id: ObjectId) {
        let keepers = self.decoded.entry(id).or_default();
        if !keepers.contains(&worker) {
            keepers.push(worker);
        }
    }

    /// Tells all keepers that the object is freed.
    #[inline]
    pub(super) fn forget_decoded(&mut self, id: ObjectId, host: &mut impl Host) {
        if !self.decoded.is_empty() {
            self.forget_one_decoded(id, host);
        }
    }

    fn forget_one_decoded(&mut self, id: ObjectId, host: &mut impl Host) {
        for worker in self.decoded.remove(&id).into_iter().flatten() {
            host.send(worker, ToWorker::Forget(id));
        }
    }

    /// Removes a dead worker. Costs the number of objects with decoded values.
    pub(super) fn end_decoded(&mut self, worker: WorkerId) {
        self.decoded.retain(|_, keepers| {
            keepers.retain(|keeper| *keeper != worker);
            !keepers.is_empty()
        });
    }
}
