//! Queues: values that wait for somebody who takes them out.
//!
//! A queue is an object, whose refs are its handles; its [`Line`] is kept beside. A request is
//! answered by an object, as a call is by its result: one for a put, and one for each value of a
//! get. While the request waits, that object is pending, and no task makes it.
//!
//! # Who has a value
//!
//! The queue, until a get has it; then the object that answers the get. The process that has asked
//! says when the value is its caller's. If it gives the request up instead, or dies before, the
//! value comes back to its [place](line::Place). So no value is lost that no caller has got.
//!
//! A put that waits is done although its process has died meanwhile: the value had been sent. A get
//! that waits ends with its process.
//!
//! Requests do not count as handles: with the last handle, all that waits ends. Who waits has a
//! handle.

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
    objects::{BadItem, unknown},
};
pub(crate) use line::{Event, Line, Place, Ticket, Why};
pub(crate) use streams::stream_ended;

/// The objects that answer one request.
pub(super) type Answers = SmallVec<[ObjectId; 1]>;

/// All queues.
#[derive(Debug, Default)]
pub(super) struct Queues {
    lines: NumberMap<ObjectId, Line<Item, Answers>>,
    /// By the objects that answer: the first of a request that waits, and each with a value that is
    /// not its caller's yet.
    asked: NumberMap<ObjectId, Asked>,
    /// The streams whose tasks have ended, and why those failed that have.
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

/// How far a request is.
#[derive(Clone, Copy, Debug)]
enum Progress {
    Waits(Ticket),
    /// The object has the value of this place.
    Has(Place),
}

/// A value in a queue. It counts the objects that it refers to.
#[derive(Clone, Debug)]
enum Item {
    /// A small one.
    Own(Arc<Value>),
    /// That of an object, which is ready.
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
    /// Makes a queue with room for so many values, held by `from`.
    ///
    /// # Errors
    /// The id is not `from`'s or is in use, or there is no room.
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

    /// Whether the object stands for a queue.
    pub(crate) fn is_queue(&self, id: ObjectId) -> bool {
        self.queues.lines.contains_key(&id)
    }

    /// Puts all of the values into a queue when there is room, or now or never. The object `id` is
    /// the answer, held by `from`.
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
            item.for_each_object(|id| self.add_ref(id));
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

    /// Takes values out of a queue when there is one for each of the objects `ids`, or now or
    /// never. These are the answers, held by `from`.
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

    /// As [`queue_get`](Scheduler::queue_get), for the driver; gives the objects.
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

    /// Closes a queue, or only looks at it. The object `id`, held by `from`, says how many values
    /// are in it and whether it is closed: see [`State`].
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

    /// Nobody waits for the answer of this request any more. If it has not been done, it will not
    /// be. With `returns`, values that it has taken out come back.
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

    /// The values of these answers are their caller's now.
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

    /// Why so many values can never go through this queue.
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

    /// A value that is to be put in by request `id`.
    fn item(&self, value: ArgSpec, id: ObjectId) -> Result<Item, Violation> {
        let wrong =
            |how: &str| Violation::new(format!("a value that {id} puts into a queue {how}"));
        match value {
            ArgSpec::Value(value) if stored(&value).is_none() => match self.check_items(&value) {
                Ok(()) => Ok(Item::Own((*value).share())),
                Err(BadItem::Malformed(how)) => Err(wrong(how)),
                Err(BadItem::Unknown(nested)) => Err(unknown(nested)),
            },
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

    /// A request is in line; it may have an answer already, which has not been told.
    fn asks(&mut self, queue: ObjectId, first: ObjectId, ticket: Ticket) {
        let state = Progress::Waits(ticket);
        self.queues.asked.insert(first, Asked { queue, state });
    }

    /// Changes the line of a queue, if that is there, and answers whom that concerns.
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

    /// What the answer of a get is: the value, or one that stands for that of an object.
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

/// How many values are in a queue, whether it is closed, and how many were ever put in or wait for
/// room.
pub(crate) type State = (u64, bool, u64);

/// The value that tells of a queue.
///
/// # Errors
/// It has no encoding.
pub(crate) fn state_value(state: State) -> Result<Value, Error> {
    Value::queue_state(state)
}
