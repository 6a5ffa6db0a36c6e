//! The end of requests and queues: by a death, with the last handle, or with the runtime.

use std::sync::Arc;

use mobula_protocol::{ObjectId, Value, WireAttachment};

use super::{Asked, Event, Item, Progress};
use crate::scheduler::{Host, Scheduler, object::Object, worker::Worker};

impl Scheduler {
    /// Ends the requests of a dead worker before its holds are released. Its gets end, and values
    /// that its callers do not have return to their queues. Costs the number of the worker's holds
    /// if requests exist.
    pub(in crate::scheduler) fn abandon_requests(&mut self, worker: &Worker, host: &mut impl Host) {
        if self.queues.asked.is_empty() {
            return;
        }
        let held = worker.held.iter().map(|(id, _)| id);
        let asked = held.filter_map(|id| Some((id, *self.queues.asked.get(&id)?)));
        let (mut waiting, mut taken) = (Vec::new(), Vec::new());
        for (id, asked) in asked {
            match asked.state {
                Progress::Waits(ticket) => waiting.push((asked.queue, ticket)),
                Progress::Has(place) => taken.push((asked.queue, place, id)),
            }
        }
        // The waiting requests go first: returned values and existing values must not go to a dead
        // worker.
        waiting.sort_unstable();
        for (queue, ticket) in &waiting {
            self.in_line(*queue, host, |line, events| line.strike(*ticket, events));
        }
        taken.sort_unstable();
        for (_, _, id) in taken {
            self.bring_back(id, host);
        }
        waiting.dedup_by_key(|(queue, _)| *queue);
        for (queue, _) in waiting {
            self.in_line(queue, host, |line, events| line.serve(events));
        }
    }

    /// Returns the value of an answer to its queue if the caller does not have the value.
    pub(super) fn bring_back(&mut self, id: ObjectId, host: &mut impl Host) {
        let Some(&Asked {
            queue,
            state: Progress::Has(place),
        }) = self.queues.asked.get(&id)
        else {
            return;
        };
        self.queues.asked.remove(&id);
        let value = self.objects.get(id).and_then(Object::value);
        let Some(item) = value.map(item_of).filter(|_| self.is_queue(queue)) else {
            return;
        };
        item.for_each_object(|id| self.objects.add_ref(id));
        self.in_line(queue, host, |line, events| {
            line.give_back(place, item, events);
        });
    }

    /// Ends the queue of an object before the object is freed. Adds the objects that only the
    /// queue's values kept to `rest`.
    pub(in crate::scheduler) fn end_queue(
        &mut self,
        id: ObjectId,
        rest: &mut Vec<ObjectId>,
        host: &mut impl Host,
    ) {
        self.queues.asked.remove(&id);
        let Some(mut line) = self.queues.lines.remove(&id) else {
            return;
        };
        self.queues.ended.remove(&id);
        let mut events = Vec::new();
        line.give_all_up(&mut events);
        let mut items: Vec<Item> = line.into_values().collect();
        for event in events {
            if let Event::Refused(ids, why, values) = event {
                self.refuse(id, ids, why, host);
                items.extend(values);
            }
        }
        for item in items {
            item.for_each_object(|id| self.drop_ref_later(id, rest));
        }
    }

    /// Ends all waiting requests at the end of the runtime. Values in queues stay until the queues'
    /// handles are released.
    pub(in crate::scheduler) fn end_requests(&mut self, host: &mut impl Host) {
        let mut queues: Vec<ObjectId> = self.queues.lines.keys().copied().collect();
        queues.sort_unstable();
        for queue in queues {
            self.in_line(queue, host, |line, events| line.give_all_up(events));
        }
        self.queues.asked.clear();
    }
}

/// Returns the item that became this answer.
fn item_of(value: &Arc<Value>) -> Item {
    match value.stands_for().and_then(WireAttachment::id) {
        Some(id) => Item::Object(id),
        None => Item::Own(value.clone()),
    }
}
