//! Queues: values that wait for a get.
//!
//! A queue is an object whose refs are its handles. The scheduler keeps its [`Line`] beside the
//! object. Objects answer a request: one for a put, and one for each value of a get. The objects
//! are pending while the request waits, and no task makes them.
//!
//! # The owner of a value
//!
//! A value belongs to the queue until a get takes the value, and then to the object that answers
//! the get. The requesting process reports when its caller has the value. If the process gives the
//! request up or dies before, the value returns to its [place](line::Place). A value that no caller
//! has got is therefore never lost.
//!
//! A waiting put succeeds even if its process has died, because the value had been sent. A waiting
//! get ends with its process.
//!
//! Requests do not count as handles: all waiting requests end with the last handle. Waiting callers
//! have a handle.

#[cfg(test)]
mod checks;
mod ends;
mod line;
mod streams;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, sync::Arc};

use mobula_protocol::{
    Error, Format, ObjectId, Value, WorkerId,
    message::{ArgSpec, Args},
};
use mobula_store::NumberMap;
use smallvec::SmallVec;

use super::{
    Host, Scheduler, Violation,
    counts::stored,
    object::ObjectState,
    objects::{BadAttachment, unknown},
};
pub(crate) use line::{Event, Line, Place, Ticket, Why};
pub(crate) use streams::stream_ended;

/// The objects that answer one request.
pub(super) type Answers = SmallVec<[ObjectId; 1]>;

/// All queues.
#[derive(Debug, Default)]
pub(super) struct Queues {
    lines: NumberMap<ObjectId, Line<Item, Answers>>,
    /// Requests by the objects that answer them: the first object of a waiting request, and each
    /// object whose caller does not have its value yet.
    asked: NumberMap<ObjectId, Asked>,
    /// The streams whose tasks have ended, with the failure of the task, if any.
    ended: NumberMap<ObjectId, Option<Error>>,
}

impl Queues {
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.asked.is_empty() && self.ended.is_empty()
    }
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    queue: ObjectId,
    state: Progress,
}

/// The state of a request.
#[derive(Clone, Copy, Debug)]
enum Progress {
    Waits(Ticket),
    /// The object has the value of this place.
    Has(Place),
}

/// A value in a queue. The item counts as a ref of the objects inside.
#[derive(Clone, Debug)]
enum Item {
    /// A value of its own, without stored bytes.
    Own(Arc<Value>),
    /// The value of a ready object.
    Object(ObjectId),
}

impl Item {
    fn for_each_object(&self, f: impl FnMut(ObjectId)) {
        match self {
            Item::Own(value) => value.nested().for_each(f),
            Item::Object(id) => std::iter::once(*id).for_each(f),
        }
    }
}

impl Scheduler {
    /// Makes a queue with room for `capacity` values, held by `from`.
    ///
    /// # Errors
    /// The id is not `from`'s or is in use, or the capacity is 0.
    pub(crate) fn create_queue(
        &mut self,
        id: ObjectId,
        capacity: u32,
        from: WorkerId,
    ) -> Result<(), Violation> {
        self.check_new(id, from)?;
        if capacity == 0 {
            return Err(Violation::new(format!("the queue {id} has no room")));
        }
        if let Some(error) = self.closed.clone() {
            self.insert(id, ObjectState::Failed(error), from);
            return Ok(());
        }
        self.insert(id, ObjectState::Ready(Value::unit()), from);
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        self.queues.lines.insert(id, Line::new(capacity));
        Ok(())
    }

    /// Returns whether the object stands for a queue.
    pub(crate) fn is_queue(&self, id: ObjectId) -> bool {
        self.queues.lines.contains_key(&id)
    }

    /// Puts all values into a queue: when there is room, or only if there is room now. The object
    /// `id` is the answer, held by `from`.
    ///
    /// # Errors
    /// There is no such queue, a value cannot be one, or the id cannot be used.
    pub(crate) fn queue_put(
        &mut self,
        id: ObjectId,
        queue: ObjectId,
        values: Args<ArgSpec>,
        waits: bool,
        from: WorkerId,
        host: &mut impl Host,
    ) -> Result<(), Violation> {
        self.check_new(id, from)?;
        if let Some(error) = self.refusal(queue, values.len())? {
            self.insert(id, ObjectState::Failed(error), from);
            return Ok(());
        }
        let items = values.into_iter().map(|value| self.item(value, id));
        let items = items.collect::<Result<Vec<_>, _>>()?;
        for item in &items {
            item.for_each_object(|id| self.objects.add_ref(id));
        }
        self.insert_request(id, from);
        let mut events = Vec::new();
        if let Some(line) = self.queues.lines.get_mut(&queue) {
            let ticket = line.put(Answers::from_iter([id]), items, waits, &mut events);
            self.asks(queue, id, ticket);
        }
        self.answer_requests(queue, events, host);
        Ok(())
    }

    /// Takes one value for each of the objects `ids` out of a queue: when there are enough, or only
    /// if there are enough now. The objects are the answers, held by `from`.
    ///
    /// # Errors
    /// There is no such queue, or an id cannot be used.
    pub(super) fn queue_get(
        &mut self,
        ids: Answers,
        queue: ObjectId,
        waits: bool,
        from: WorkerId,
        host: &mut impl Host,
    ) -> Result<(), Violation> {
        for id in &ids {
            self.check_new(*id, from)?;
        }
        let twice = ids.len() > 1 && ids.iter().collect::<HashSet<_>>().len() < ids.len();
        if twice || ids.is_empty() {
            return Err(Violation::new(format!(
                "{from} wants values of the queue {queue} in objects of which none are, or two are the same"
            )));
        }
        let refusal = self.refusal(queue, ids.len())?;
        for id in &ids {
            match &refusal {
                Some(error) => self.insert(*id, ObjectState::Failed(error.clone()), from),
                None => self.insert_request(*id, from),
            }
        }
        if refusal.is_none() {
            self.get_in_line(ids, queue, waits, host);
        }
        Ok(())
    }

    /// Takes values like [`queue_get`](Scheduler::queue_get) for the driver. Returns the objects.
    ///
    /// # Errors
    /// There is no such queue.
    pub(crate) fn queue_get_here(
        &mut self,
        count: usize,
        queue: ObjectId,
        waits: bool,
        host: &mut impl Host,
    ) -> Result<Result<Answers, Error>, Violation> {
        if let Some(error) = self.refusal(queue, count)? {
            return Ok(Err(error));
        }
        let ids = (0..count).map(|_| {
            let id = self.mint();
            self.insert_request(id, WorkerId::DRIVER);
            id
        });
        let ids: Answers = ids.collect();
        self.get_in_line(ids.clone(), queue, waits, host);
        Ok(Ok(ids))
    }

    fn get_in_line(&mut self, ids: Answers, queue: ObjectId, waits: bool, host: &mut impl Host) {
        let mut events = Vec::new();
        if let (Some(line), Some(first)) = (self.queues.lines.get_mut(&queue), ids.first().copied())
        {
            let count = ids.len();
            let ticket = line.get(ids, count, waits, &mut events);
            self.asks(queue, first, ticket);
        }
        self.answer_requests(queue, events, host);
    }

    /// Closes a queue or reads its state. The object `id`, held by `from`, contains the state: see
    /// [`State`].
    ///
    /// # Errors
    /// There is no such queue, or the id cannot be used.
    pub(crate) fn queue_ask(
        &mut self,
        id: ObjectId,
        queue: ObjectId,
        close: bool,
        from: WorkerId,
        host: &mut impl Host,
    ) -> Result<(), Violation> {
        self.check_new(id, from)?;
        if let Some(error) = self.refusal(queue, 0)? {
            self.insert(id, ObjectState::Failed(error), from);
            return Ok(());
        }
        let mut events = Vec::new();
        let mut state = State::default();
        if let Some(line) = self.queues.lines.get_mut(&queue) {
            if close {
                line.close(&mut events);
            }
            state = (line.len() as u64, line.is_closed(), line.accepted());
        }
        let state = match state_value(state) {
            Ok(value) => ObjectState::Ready(value.into()),
            Err(error) => ObjectState::Failed(error),
        };
        self.insert(id, state, from);
        self.answer_requests(queue, events, host);
        Ok(())
    }

    /// Gives up a request whose answer nobody awaits. A waiting request is withdrawn. With
    /// `returns`, the values that an answered request has taken return to the queue.
    pub(crate) fn queue_give_up(&mut self, ids: &[ObjectId], returns: bool, host: &mut impl Host) {
        let first = ids.first().and_then(|id| self.queues.asked.get(id));
        if let Some(&Asked {
            queue,
            state: Progress::Waits(ticket),
        }) = first
        {
            self.in_line(queue, host, |line, events| line.give_up(ticket, events));
        } else if returns {
            ids.iter().for_each(|id| self.bring_back(*id, host));
        }
    }

    /// Records that the callers have the values of these answers.
    pub(super) fn queue_took(&mut self, ids: &[ObjectId]) {
        let asked = &mut self.queues.asked;
        for id in ids {
            if let Some(Asked {
                state: Progress::Has(_),
                ..
            }) = asked.get(id)
            {
                asked.remove(id);
            }
        }
    }

    /// Returns the error of a request for `count` values that can never succeed.
    ///
    /// # Errors
    /// There is no such queue.
    fn refusal(&self, queue: ObjectId, count: usize) -> Result<Option<Error>, Violation> {
        if let Some(error) = &self.closed {
            return Ok(Some(error.clone()));
        }
        let Some(line) = self.queues.lines.get(&queue) else {
            return match self.outcome(queue) {
                Some(Err(error)) => Ok(Some(error)),
                _ => Err(unknown(queue)),
            };
        };
        let room = line.capacity();
        Ok((count > room).then(|| {
            Error::usage(format!(
                "{count} values at once do not fit a queue with room for {room}"
            ))
        }))
    }

    /// Returns the item for a value that request `id` puts in.
    fn item(&self, value: ArgSpec, id: ObjectId) -> Result<Item, Violation> {
        let wrong =
            |how: &str| Violation::new(format!("a value that {id} puts into a queue {how}"));
        match value {
            ArgSpec::Value(value) if stored(&value).is_none() => {
                match self.check_attachments(&value) {
                    Ok(()) => Ok(Item::Own((*value).share())),
                    Err(BadAttachment::Malformed(how)) => Err(wrong(how)),
                    Err(BadAttachment::Unknown(nested)) => Err(unknown(nested)),
                }
            }
            ArgSpec::Object(object) => match self.objects.get(object).map(|found| found.value()) {
                None => Err(unknown(object)),
                Some(None) => Err(wrong("is not there")),
                Some(Some(value)) => match value.format {
                    Format::Shared { .. } | Format::Part { .. } => Err(wrong("is shared memory")),
                    Format::Flat { .. } | Format::Text | Format::Packed { .. } => {
                        Ok(Item::Object(object))
                    }
                },
            },
            ArgSpec::Value(_) | ArgSpec::Gather(_) => Err(wrong("is not a value")),
        }
    }

    /// Records a request that is in line. An answer may exist already, but has not been sent.
    fn asks(&mut self, queue: ObjectId, first: ObjectId, ticket: Ticket) {
        let state = Progress::Waits(ticket);
        self.queues.asked.insert(first, Asked { queue, state });
    }

    /// Changes the line of an existing queue, and sends the answers that follow.
    fn in_line(
        &mut self,
        queue: ObjectId,
        host: &mut impl Host,
        change: impl FnOnce(&mut Line<Item, Answers>, &mut Vec<Event<Item, Answers>>),
    ) {
        let mut events = Vec::new();
        if let Some(line) = self.queues.lines.get_mut(&queue) {
            change(line, &mut events);
        }
        self.answer_requests(queue, events, host);
    }

    fn answer_requests(
        &mut self,
        queue: ObjectId,
        events: Vec<Event<Item, Answers>>,
        host: &mut impl Host,
    ) {
        for event in events {
            match event {
                Event::Put(ids) => {
                    for id in ids {
                        self.queues.asked.remove(&id);
                        self.answer_request(id, Ok(Value::unit()), host);
                    }
                }
                Event::Got(ids, values) => {
                    for (id, (place, item)) in ids.into_iter().zip(values) {
                        let state = Progress::Has(place);
                        self.queues.asked.insert(id, Asked { queue, state });
                        let value = self.value_of(&item);
                        self.answer_request(id, Ok(value), host);
                        item.for_each_object(|id| self.drop_ref(id, host));
                    }
                }
                Event::Refused(ids, why, items) => {
                    self.refuse(queue, ids, why, host);
                    for item in items {
                        item.for_each_object(|id| self.drop_ref(id, host));
                    }
                }
            }
        }
    }

    fn refuse(&mut self, queue: ObjectId, ids: Answers, why: Why, host: &mut impl Host) {
        if let Some(first) = ids.first() {
            self.queues.asked.remove(first);
        }
        let error = self.stream_error(queue, why);
        for id in ids {
            self.answer_request(id, Err(error.clone()), host);
        }
    }

    /// Returns the answer of a get: the value, or a value that stands for an object.
    fn value_of(&self, item: &Item) -> Arc<Value> {
        match item {
            Item::Own(value) => value.clone(),
            Item::Object(id) => self.standing_for(*id),
        }
    }
}

impl Why {
    pub(crate) fn error(self) -> Error {
        match self {
            Why::NotNow => Error::timeout("the queue could not do this at once"),
            Why::Closed => Error::closed(
                "the queue is closed: nothing goes in, and there are not as many values in it as were asked for",
            ),
        }
    }
}

/// The number of values in a queue, whether the queue is closed, and the number of values ever put
/// in or waiting for room.
pub(crate) type State = (u64, bool, u64);

/// Makes the value that reports the state of a queue.
///
/// # Errors
/// The value has no encoding.
pub(crate) fn state_value(state: State) -> Result<Value, Error> {
    Value::queue_state(state)
}
