//! The objects that workers hold, and the outcomes that they wait for.

use mobula_protocol::{ObjectId, WorkerId, message::ToWorker};

use super::{
    Host, Scheduler,
    counts::Step,
    object::{Object, ObjectState},
    worker::Hold,
};

impl Scheduler {
    /// Records that the worker holds the object, with a pin if the object is ready.
    pub(super) fn hold(&mut self, worker: WorkerId, id: ObjectId) {
        let Some(worker) = self.workers.get_mut(worker) else {
            return;
        };
        let Some(object) = self.objects.get_mut(id) else {
            return;
        };
        worker.is_told(id);
        let hold = worker.held.get_or_insert_with(id, || {
            object.refs += 1;
            Hold::default()
        });
        if !hold.pinned && matches!(object.state, ObjectState::Ready(_)) {
            hold.pinned = true;
            self.objects.shift_pins(id, Step::Begin);
        }
    }

    /// Ends the worker's hold of the object and its wait for the outcome.
    pub(super) fn end_hold(&mut self, worker_id: WorkerId, id: ObjectId, host: &mut impl Host) {
        let Some(worker) = self.workers.get_mut(worker_id) else {
            return;
        };
        let watched = worker.watches.remove(&id);
        let hold = worker.held.remove(id);
        if watched {
            self.end_watch(worker_id, id);
        }
        if let Some(hold) = hold {
            self.give_up(id, hold, host);
        }
    }

    /// Releases the ref and the pin of a hold that is no longer listed.
    pub(super) fn give_up(&mut self, id: ObjectId, hold: Hold, host: &mut impl Host) {
        if hold.pinned {
            self.objects.shift_pins(id, Step::End);
        }
        self.drop_ref(id, host);
    }

    /// Removes the worker from the watchers of the object.
    pub(super) fn end_watch(&mut self, worker: WorkerId, id: ObjectId) {
        let pending = self.objects.get_mut(id).and_then(Object::pending_mut);
        if let Some(followers) = pending.and_then(|pending| pending.followers.as_mut()) {
            followers.watchers.retain(|&watcher| watcher != worker);
        }
    }

    /// Sends the outcome to the worker when the object is finished, or at once.
    pub(super) fn watch(&mut self, worker_id: WorkerId, id: ObjectId, host: &mut impl Host) {
        let Some(worker) = self.workers.get_mut(worker_id) else {
            return;
        };
        let Some(object) = self.objects.get_mut(id) else {
            return;
        };
        match &mut object.state {
            ObjectState::Pending(pending) => {
                if worker.watches.insert(id) {
                    pending.more_followers().watchers.push(worker_id);
                }
            }
            _ => self.tell(worker_id, id, host),
        }
    }

    /// Sends the outcome to a worker. A value comes with a pin.
    pub(super) fn tell(&mut self, worker: WorkerId, id: ObjectId, host: &mut impl Host) {
        let Some(outcome) = self.outcome(id) else {
            return;
        };
        if outcome.is_ok() {
            self.hold(worker, id);
        } else {
            self.heard(id);
        }
        host.send(worker, ToWorker::Ready { id, outcome });
    }
}
