//! Queues. They are the scheduler's `Line`s, with handles as values.

use std::{collections::HashMap, sync::Arc};

use mobula_protocol::{
    CallArg, Engine, Error, ObjectHandle, ObjectId, Queues, Result, Value, message::Args,
};
use parking_lot::Mutex;

use super::{Inline, tasks::known};
use crate::scheduler::{Event, Line, Place, QueueState, Ticket, Why, queue_state, stream_ended};

type Ids = Vec<ObjectId>;

#[derive(Default)]
pub(super) struct Table(Mutex<State>);

#[derive(Default)]
struct State {
    lines: HashMap<ObjectId, Line<Arc<ObjectHandle>, Ids>>,
    /// The queue and the ticket of each waiting request, by the request's first answer.
    waiting: HashMap<ObjectId, (ObjectId, Ticket)>,
    /// The queue, the place and the value that an answer has taken, by the answer.
    taken: HashMap<ObjectId, (ObjectId, Place, Arc<ObjectHandle>)>,
    /// The streams whose calls have ended, each with its call's error if the call failed.
    ended: HashMap<ObjectId, Option<Error>>,
}

impl Table {
    /// Forgets an object that has no handle any more.
    pub(super) fn end(&self, id: ObjectId) {
        let mut state = self.0.lock();
        let ended = (state.lines.remove(&id), state.taken.remove(&id));
        state.ended.remove(&id);
        drop(state);
        drop(ended);
    }
}

impl Inline {
    fn request(
        &self,
        queue: ObjectId,
        first: ObjectId,
        request: impl FnOnce(
            &mut Line<Arc<ObjectHandle>, Ids>,
            &mut Vec<Event<Arc<ObjectHandle>, Ids>>,
        ) -> Ticket,
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

    /// Ends a stream, whose call has ended. Does nothing if `stream` is another object.
    pub(super) fn end_stream(&self, stream: ObjectId, failure: Option<Error>) {
        let mut state = self.queues.0.lock();
        if state.lines.contains_key(&stream) {
            state.ended.insert(stream, failure);
            drop(state);
            self.in_line(stream, Line::finish);
        }
    }

    fn in_line(
        &self,
        queue: ObjectId,
        change: impl FnOnce(&mut Line<Arc<ObjectHandle>, Ids>, &mut Vec<Event<Arc<ObjectHandle>, Ids>>),
    ) {
        let mut events = Vec::new();
        if let Some(line) = self.queues.0.lock().lines.get_mut(&queue) {
            change(line, &mut events);
        }
        self.tell(queue, events);
    }

    fn tell(&self, queue: ObjectId, events: Vec<Event<Arc<ObjectHandle>, Ids>>) {
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
                        self.complete(id, known(&value), vec![value]);
                    }
                }
                Event::Refused(_, why, _) => {
                    let ended = self.queues.0.lock().ended.get(&queue).cloned();
                    let error = match (why, ended) {
                        (Why::Closed, Some(failure)) => failure.unwrap_or_else(stream_ended),
                        _ => why.error(),
                    };
                    ids.into_iter()
                        .for_each(|id| self.complete(id, Err(error.clone()), Vec::new()));
                }
            }
        }
    }
}

impl Queues for Inline {
    fn create(&self, capacity: u32) -> Arc<ObjectHandle> {
        let entry = self.add(Some(Ok(Value::unit())), Vec::new(), None);
        let line = Line::new(capacity as usize);
        self.queues.0.lock().lines.insert(entry.id(), line);
        entry
    }

    /// Returns a capacity without a limit. A call has made all its items before its caller reads
    /// the first, so a full stream would block the call for ever.
    fn stream_capacity(&self, _: u32) -> u32 {
        u32::MAX
    }

    fn put(&self, queue: &ObjectHandle, values: Args<CallArg>, waits: bool) -> Arc<ObjectHandle> {
        let handle = |value| match value {
            CallArg::Value(payload) => self.store().put(payload),
            CallArg::Object(_) | CallArg::Gather(_) => {
                Err(Error::internal("a ref as a value of a queue"))
            }
        };
        let values = match values.into_iter().map(handle).collect::<Result<Vec<_>>>() {
            Ok(values) => values,
            Err(error) => return ObjectHandle::failed(error),
        };
        let answer = self.add(None, Vec::new(), None);
        let id = answer.id();
        self.request(queue.id(), id, |line, events| {
            line.put(vec![id], values, waits, events)
        });
        answer
    }

    fn get(&self, queue: &ObjectHandle, count: usize, waits: bool) -> Vec<Arc<ObjectHandle>> {
        let answers: Vec<_> = (0..count)
            .map(|_| self.add(None, Vec::new(), None))
            .collect();
        let ids: Ids = answers.iter().map(|answer| answer.id()).collect();
        if let Some(&first) = ids.first() {
            self.request(queue.id(), first, |line, events| {
                line.get(ids, count, waits, events)
            });
        }
        answers
    }

    fn give_up(&self, answers: &mut dyn Iterator<Item = ObjectId>, returns: bool) {
        let ids: Ids = answers.collect();
        let Some(first) = ids.first() else {
            return;
        };
        let waiting = self.queues.0.lock().waiting.get(first).copied();
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

    fn took(&self, answers: &mut dyn Iterator<Item = ObjectId>) {
        let mut state = self.queues.0.lock();
        let taken: Vec<_> = answers.filter_map(|id| state.taken.remove(&id)).collect();
        drop(state);
        // The drop of a handle may take the lock, so no handle is dropped under it.
        drop(taken);
    }

    fn ask(&self, queue: &ObjectHandle, close: bool) -> Arc<ObjectHandle> {
        let mut state: QueueState = (0, false, 0);
        self.in_line(queue.id(), |line, events| {
            if close {
                line.close(events);
            }
            state = (line.len() as u64, line.is_closed(), line.accepted());
        });
        let outcome = queue_state(state).map(Arc::new);
        self.add(Some(outcome), Vec::new(), None)
    }
}
