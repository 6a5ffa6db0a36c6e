//! Which workers keep decoded values of which objects.
//!
//! A decoded value does not count as a ref to its object. The workers are told when the object is
//! freed: then they drop the value, and with it what they hold of arrays inside.

use mobula_protocol::{ObjectId, WorkerId, message::ToWorker};

use super::{Host, Scheduler};

impl Scheduler {
    /// The worker keeps a decoded value of an object that exists.
    pub(super) fn keeps_decoded(&mut self, worker: WorkerId, id: ObjectId) {
        let keepers = self.decoded.entry(id).or_default();
        if !keepers.contains(&worker) {
            keepers.push(worker);
        }
    }

    /// The object is freed.
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

    /// The worker is dead. Costs the number of objects of which workers keep decoded values.
    pub(super) fn end_decoded(&mut self, worker: WorkerId) {
        self.decoded.retain(|_, keepers| {
            keepers.retain(|keeper| *keeper != worker);
            !keepers.is_empty()
        });
    }
}
