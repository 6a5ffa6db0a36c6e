//! How requests and queues end: by a death, with the last handle, with the runtime.

use std::sync::Arc;

use mobula_protocol::{self as worker, ObjectId, Value};

use super::{Asked, Event, Item, Progress};
use crate::scheduler::{Host, Scheduler, object::Object, worker::Worker};

impl Scheduler {
    /// A worker is dead; what it holds is not yet released. Its gets end, and the values come back
    /// that were on their way to it. Costs the number of its holds, if there are queues.
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
        // First: nothing that comes back is for these, and nothing that was there is.
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

    /// The value that an answer has comes back to its queue, if its caller has not got it.
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
        item.for_each_object(|id| self.add_ref(id));
        self.in_line(queue, host, |line, events| {
            line.give_back(place, item, events);
        });
    }

    /// The object is about to be freed. The objects that only its values kept go to `rest`.
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

    /// The runtime has ended, and all requests that waited have failed. What is in queues stays
    /// until their handles go.
    pub(in crate::scheduler) fn end_requests(&mut self, host: &mut impl Host) {
        let mut queues: Vec<ObjectId> = self.queues.lines.keys().copied().collect();
        queues.sort_unstable();
        for queue in queues {
            self.in_line(queue, host, |line, events| line.give_all_up(events));
        }
        self.queues.asked.clear();
    }
}

/// The item that an answer was made of.
fn item_of(value: &Arc<Value>) -> Item {
    match value.stands_for().and_then(worker::Item::id) {
        Some(id) => Item::Object(id),
        None => Item::Own(value.clone()),
    }
}
