//! The invariants of queues, for the tests.

use std::collections::HashMap;

use mobula_protocol::ObjectId;

use super::Progress;
use crate::scheduler::{Scheduler, object::Object};

impl Scheduler {
    /// Calls `f` with each object that a queue keeps, once for each ref.
    pub(in crate::scheduler) fn for_each_queued(&self, mut f: impl FnMut(ObjectId)) {
        for line in self.queues.lines.values() {
            line.all_values()
                .for_each(|item| item.for_each_object(&mut f));
        }
    }

    /// Asserts that queues match their objects and requests.
    pub(in crate::scheduler) fn check_queues(&self) {
        let mut waiting = HashMap::new();
        for (queue, line) in &self.queues.lines {
            assert!(self.objects.contains(*queue), "the queue {queue} is gone");
            line.check();
            for (ticket, ids) in line.waiting() {
                waiting.insert(ids[0], (*queue, ticket));
                for id in ids {
                    let pending = self.objects.get(*id).and_then(Object::pending);
                    assert!(pending.is_some(), "{id} waits, and is finished");
                }
            }
        }
        for (id, asked) in &self.queues.asked {
            match asked.state {
                Progress::Waits(ticket) => {
                    let place = waiting.remove(id);
                    assert_eq!(place, Some((asked.queue, ticket)), "{id} waits");
                }
                Progress::Has(_) => {
                    let value = self.objects.get(*id).and_then(Object::value);
                    assert!(value.is_some(), "{id} has no value");
                }
            }
        }
        assert!(waiting.is_empty(), "nobody knows of {waiting:?}");
    }
}
