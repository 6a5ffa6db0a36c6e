//! Queues of the test engine: the driver's lines, with handles for values.

use std::{collections::HashMap, sync::Arc};

use mobula_store::{Block, codec};
use mobula_worker::{
    Body, CallArg, Entry, Error, Format, ObjectId, Result, TypeTag, Value, message::Args,
};
use parking_lot::Mutex;

use super::Inline;
use crate::core::{Event, Line, Place, QueueState, Ticket, Why};

type Ids = Vec<ObjectId>;

#[derive(Default)]
pub(super) struct Queues(Mutex<State>);

#[derive(Default)]
struct State {
    lines: HashMap<ObjectId, Line<Arc<Entry>, Ids>>,
    /// The queue and the ticket of requests, by their first answers.
    waiting: HashMap<ObjectId, (ObjectId, Ticket)>,
    /// What answers have.
    taken: HashMap<ObjectId, (ObjectId, Place, Arc<Entry>)>,
}

impl Queues {
    /// An object is gone.
    pub(super) fn end(&self, id: ObjectId) {
        let mut state = self.0.lock();
        let ended = (state.lines.remove(&id), state.taken.remove(&id));
        drop(state);
        drop(ended);
    }
}

impl Inline {
    pub(super) fn new_queue(&self, capacity: u32) -> Arc<Entry> {
        let entry = self.add(Some(Ok(Value::unit())), Vec::new(), None);
        let line = Line::new(capacity as usize);
        self.queues.0.lock().lines.insert(entry.id(), line);
        entry
    }

    pub(super) fn put_in(
        &self,
        queue: ObjectId,
        values: Args<CallArg>,
        waits: bool,
    ) -> Result<Arc<Entry>> {
        let handle = |value| match value {
            CallArg::Value(payload) => mobula_worker::put(self, payload),
            _ => Err(Error::internal("a ref as a value of a queue")),
        };
        let values = values.into_iter().map(handle).collect::<Result<Vec<_>>>()?;
        let answer = self.add(None, Vec::new(), None);
        let id = answer.id();
        self.ask(queue, id, |line, events| {
            line.put(vec![id], values, waits, events)
        });
        Ok(answer)
    }

    pub(super) fn take_out(&self, queue: ObjectId, count: usize, waits: bool) -> Vec<Arc<Entry>> {
        let answers: Vec<_> = (0..count)
            .map(|_| self.add(None, Vec::new(), None))
            .collect();
        let ids: Ids = answers.iter().map(|answer| answer.id()).collect();
        self.ask(queue, ids[0], |line, events| {
            line.get(ids, count, waits, events)
        });
        answers
    }

    pub(super) fn give_up(&self, ids: &[ObjectId], returns: bool) {
        let waiting = self.queues.0.lock().waiting.get(&ids[0]).copied();
        if let Some((queue, ticket)) = waiting {
            return self.in_line(queue, |line, events| line.give_up(ticket, events));
        }
        for id in ids.iter().filter(|_| returns) {
            let taken = self.queues.0.lock().taken.remove(id);
            if let Some((queue, place, value)) = taken {
                self.in_line(queue, |line, events| line.give_back(place, value, events));
            }
        }
    }

    pub(super) fn state_of(&self, queue: ObjectId, close: bool) -> Arc<Entry> {
        let mut state: QueueState = (0, false);
        self.in_line(queue, |line, events| {
            if close {
                line.close(events);
            }
            state = (line.len() as u64, line.is_closed());
        });
        let bytes = codec::encode(&state).unwrap().bytes;
        let value = Value {
            format: Format::Packed {
                of: TypeTag(codec::type_tag::<QueueState>()),
            },
            body: Body::Inline(Block::copy_of(&bytes, 1)),
            items: Vec::new(),
        };
        self.add(Some(Ok(value.into())), Vec::new(), None)
    }

    fn ask(
        &self,
        queue: ObjectId,
        first: ObjectId,
        request: impl FnOnce(&mut Line<Arc<Entry>, Ids>, &mut Vec<Event<Arc<Entry>, Ids>>) -> Ticket,
    ) {
        let mut events = Vec::new();
        let mut state = self.queues.0.lock();
        if let Some(line) = state.lines.get_mut(&queue) {
            let ticket = request(line, &mut events);
            state.waiting.insert(first, (queue, ticket));
        }
        drop(state);
        self.tell(queue, events);
    }

    fn in_line(
        &self,
        queue: ObjectId,
        change: impl FnOnce(&mut Line<Arc<Entry>, Ids>, &mut Vec<Event<Arc<Entry>, Ids>>),
    ) {
        let mut events = Vec::new();
        if let Some(line) = self.queues.0.lock().lines.get_mut(&queue) {
            change(line, &mut events);
        }
        self.tell(queue, events);
    }

    fn tell(&self, queue: ObjectId, events: Vec<Event<Arc<Entry>, Ids>>) {
        for event in events {
            let ids = match &event {
                Event::Put(ids) | Event::Got(ids, _) | Event::Refused(ids, ..) => ids.clone(),
            };
            self.queues.0.lock().waiting.remove(&ids[0]);
            match event {
                Event::Put(_) => self.complete(ids[0], Ok(Value::unit()), Vec::new()),
                Event::Got(_, values) => {
                    for (id, (place, value)) in ids.into_iter().zip(values) {
                        let taken = (queue, place, value.clone());
                        self.queues.0.lock().taken.insert(id, taken);
                        let outcome = value.outcome().unwrap().clone();
                        self.complete(id, outcome, vec![value]);
                    }
                }
                Event::Refused(_, why, _) => {
                    let error = || match why {
                        Why::NotNow => Error::timeout("not now"),
                        Why::Closed => Error::closed("the queue is closed"),
                    };
                    ids.into_iter()
                        .for_each(|id| self.complete(id, Err(error()), Vec::new()));
                }
            }
        }
    }
}
