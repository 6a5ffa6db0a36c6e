//! The order of a queue: its values, and the requests that wait to put or to get values.
//!
//! The line is plain data. It knows neither the meaning of the values nor the callers. Each request
//! has a name `R`, and an [`Event`] reports its result.

use std::collections::{BTreeMap, VecDeque};

/// The number of a request.
pub(crate) type Ticket = u64;

/// The place of a value among all values that were ever put in. A returned value takes its old
/// place.
pub(crate) type Place = u64;

/// The result of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event<V, R> {
    /// The values of the put are in the queue.
    Put(R),
    /// The get has these values.
    Got(R, Vec<(Place, V)>),
    /// The request had no effect. The list contains the values of a put.
    Refused(R, Why, Vec<V>),
}

/// The reason of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The request could not succeed at once, or was given up.
    NotNow,
    /// The queue is closed, so the request can never succeed.
    Closed,
}

/// The values and the waiting requests of a queue: see the [module](self).
#[derive(Debug)]
pub(crate) struct Line<V, R> {
    capacity: usize,
    /// The values in the order of their places.
    values: VecDeque<(Place, V)>,
    /// The place of the next value.
    next_place: Place,
    /// The waiting puts in the order of arrival. `getters` has the same order.
    putters: BTreeMap<Ticket, (R, Vec<V>)>,
    getters: BTreeMap<Ticket, (R, usize)>,
    next_ticket: Ticket,
    closed: bool,
}

impl<V, R> Line<V, R> {
    pub(crate) fn new(capacity: usize) -> Line<V, R> {
        Line {
            capacity,
            values: VecDeque::new(),
            next_place: 0,
            putters: BTreeMap::new(),
            getters: BTreeMap::new(),
            next_ticket: 0,
            closed: false,
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Returns the number of values that were ever put in or wait for room.
    pub(crate) fn accepted(&self) -> u64 {
        let waiting = self.putters.values().map(|(_, values)| values.len() as u64);
        self.next_place + waiting.sum::<u64>()
    }

    /// Puts all values in when there is room for all. Without `waits`, the put is refused if it
    /// cannot succeed now. The number of values must not exceed the capacity.
    pub(crate) fn put(
        &mut self,
        request: R,
        values: Vec<V>,
        waits: bool,
        events: &mut Vec<Event<V, R>>,
    ) -> Ticket {
        debug_assert!(values.len() <= self.capacity);
        let ticket = self.ticket();
        if self.closed {
            events.push(Event::Refused(request, Why::Closed, values));
            return ticket;
        }
        let now = self.putters.is_empty() && values.len() <= self.room();
        if !waits && !now {
            events.push(Event::Refused(request, Why::NotNow, values));
            return ticket;
        }
        self.putters.insert(ticket, (request, values));
        self.serve(events);
        ticket
    }

    /// Takes `count` values out when there are enough. Without `waits`, the get is refused if it
    /// cannot succeed now. `count` must not exceed the capacity.
    pub(crate) fn get(
        &mut self,
        request: R,
        count: usize,
        waits: bool,
        events: &mut Vec<Event<V, R>>,
    ) -> Ticket {
        debug_assert!(count <= self.capacity);
        let ticket = self.ticket();
        let now = self.getters.is_empty() && count <= self.values.len();
        if !waits && !now {
            let why = match self.closed {
                true => Why::Closed,
                false => Why::NotNow,
            };
            events.push(Event::Refused(request, why, Vec::new()));
            return ticket;
        }
        self.getters.insert(ticket, (request, count));
        self.serve(events);
        ticket
    }

    /// Withdraws a waiting request. Does nothing for a request that has ended.
    pub(crate) fn give_up(&mut self, ticket: Ticket, events: &mut Vec<Event<V, R>>) {
        if let Some((request, values)) = self.putters.remove(&ticket) {
            events.push(Event::Refused(request, Why::NotNow, values));
        } else if let Some((request, _)) = self.getters.remove(&ticket) {
            events.push(Event::Refused(request, Why::NotNow, Vec::new()));
        }
        self.serve(events);
    }

    /// Ends a waiting get. Does nothing for a put. The caller then calls [`serve`](Line::serve),
    /// after it has ended all gets of the same process, so that none of them is served.
    pub(crate) fn strike(&mut self, ticket: Ticket, events: &mut Vec<Event<V, R>>) {
        if let Some((request, _)) = self.getters.remove(&ticket) {
            events.push(Event::Refused(request, Why::NotNow, Vec::new()));
        }
    }

    /// Returns a value to its place, even beyond the capacity.
    pub(crate) fn give_back(&mut self, place: Place, value: V, events: &mut Vec<Event<V, R>>) {
        let at = self.values.partition_point(|(other, _)| *other < place);
        self.values.insert(at, (place, value));
        self.serve(events);
    }

    /// Closes the queue. Waiting puts fail, and so do gets that wait for more values than exist.
    pub(crate) fn close(&mut self, events: &mut Vec<Event<V, R>>) {
        self.closed = true;
        for (_, (request, values)) in std::mem::take(&mut self.putters) {
            events.push(Event::Refused(request, Why::Closed, values));
        }
        self.serve(events);
    }

    /// Closes the queue like [`close`](Line::close), but waiting puts still succeed when there is
    /// room.
    pub(crate) fn finish(&mut self, events: &mut Vec<Event<V, R>>) {
        self.closed = true;
        self.serve(events);
    }

    /// Ends all waiting requests.
    pub(crate) fn give_all_up(&mut self, events: &mut Vec<Event<V, R>>) {
        for (_, (request, values)) in std::mem::take(&mut self.putters) {
            events.push(Event::Refused(request, Why::NotNow, values));
        }
        for (_, (request, _)) in std::mem::take(&mut self.getters) {
            events.push(Event::Refused(request, Why::NotNow, Vec::new()));
        }
    }

    /// Returns the values in the queue, in their order.
    pub(crate) fn into_values(self) -> impl Iterator<Item = V> {
        self.values.into_iter().map(|(_, value)| value)
    }

    /// Serves the waiting puts and gets that can succeed, each in the order of arrival.
    pub(crate) fn serve(&mut self, events: &mut Vec<Event<V, R>>) {
        loop {
            let (room, there) = (self.room(), self.values.len());
            if let Some(first) = self.putters.first_entry()
                && first.get().1.len() <= room
            {
                let (request, values) = first.remove();
                for value in values {
                    self.values.push_back((self.next_place, value));
                    self.next_place += 1;
                }
                events.push(Event::Put(request));
                continue;
            }
            let Some(first) = self.getters.first_entry() else {
                return;
            };
            let wanted = first.get().1;
            if wanted <= there {
                let (request, _) = first.remove();
                events.push(Event::Got(request, self.values.drain(..wanted).collect()));
            } else if self.closed {
                let (request, _) = first.remove();
                events.push(Event::Refused(request, Why::Closed, Vec::new()));
            } else {
                return;
            }
        }
    }

    fn room(&self) -> usize {
        self.capacity.saturating_sub(self.values.len())
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        self.next_ticket
    }
}

#[cfg(test)]
impl<V, R> Line<V, R> {
    /// Returns all values, including values of waiting requests.
    pub(crate) fn all_values(&self) -> impl Iterator<Item = &V> {
        let waiting = self.putters.values().flat_map(|(_, values)| values);
        self.values.iter().map(|(_, value)| value).chain(waiting)
    }

    /// Returns the waiting requests.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (Ticket, &R)> {
        let putters = self.putters.iter().map(|(ticket, (who, _))| (*ticket, who));
        let getters = self.getters.iter().map(|(ticket, (who, _))| (*ticket, who));
        putters.chain(getters)
    }

    /// Asserts the invariants between any two calls.
    pub(crate) fn check(&self) {
        assert!(
            self.values
                .iter()
                .is_sorted_by(|(one, _), (other, _)| one < other)
        );
        let room = self.capacity.saturating_sub(self.values.len());
        if let Some((_, (_, values))) = self.putters.first_key_value() {
            assert!(values.len() > room, "a put could be done");
        }
        if let Some((_, (_, count))) = self.getters.first_key_value() {
            assert!(
                !self.closed && *count > self.values.len(),
                "a get could be done"
            );
        }
    }
}
