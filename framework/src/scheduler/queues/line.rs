//! The order of a queue: values, and those who wait to put some in or to take some out.
//!
//! Plain data. It knows neither what the values are nor who asks: each request has a name `R`, and
//! what becomes of it is an [`Event`].

use std::collections::{BTreeMap, VecDeque};

/// Names a request that waits.
pub(crate) type Ticket = u64;

/// Where a value stands among all that were ever put in. A value that comes back takes its place
/// again.
pub(crate) type Place = u64;

/// What has become of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event<V, R> {
    /// Its values are in the queue.
    Put(R),
    /// These values are its own.
    Got(R, Vec<(Place, V)>),
    /// Nothing was done. The values are those that it wanted to put in.
    Refused(R, Why, Vec<V>),
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It could not be done at once, or the request was given up.
    NotNow,
    /// It can never be done: the queue is closed.
    Closed,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Line<V, R> {
    capacity: usize,
    /// In the order of their places.
    values: VecDeque<(Place, V)>,
    /// The place of the next value.
    next_place: Place,
    /// Both in the order in which they came.
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

    /// How many values were ever put in, with those that wait for room.
    pub(crate) fn accepted(&self) -> u64 {
        let waiting = self.putters.values().map(|(_, values)| values.len() as u64);
        self.next_place + waiting.sum::<u64>()
    }

    /// Puts all of the values in when there is room, or now or never. At most the capacity.
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

    /// Takes so many values out when there are as many, or now or never. At most the capacity.
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

    /// Nobody waits for this request any more.
    pub(crate) fn give_up(&mut self, ticket: Ticket, events: &mut Vec<Event<V, R>>) {
        if let Some((request, values)) = self.putters.remove(&ticket) {
            events.push(Event::Refused(request, Why::NotNow, values));
        } else if let Some((request, _)) = self.getters.remove(&ticket) {
            events.push(Event::Refused(request, Why::NotNow, Vec::new()));
        }
        self.serve(events);
    }

    /// Ends a get that waits; does nothing for a put. [`serve`](Line::serve) is to follow, when all
    /// gets of the same process have ended, so that none of them is served.
    pub(crate) fn strike(&mut self, ticket: Ticket, events: &mut Vec<Event<V, R>>) {
        if let Some((request, _)) = self.getters.remove(&ticket) {
            events.push(Event::Refused(request, Why::NotNow, Vec::new()));
        }
    }

    /// A value that was taken out comes back to its place, beyond the capacity, too.
    pub(crate) fn give_back(&mut self, place: Place, value: V, events: &mut Vec<Event<V, R>>) {
        let at = self.values.partition_point(|(other, _)| *other < place);
        self.values.insert(at, (place, value));
        self.serve(events);
    }

    /// Takes nothing more in. Who waits to put fails, and who waits for more than there is.
    pub(crate) fn close(&mut self, events: &mut Vec<Event<V, R>>) {
        self.closed = true;
        for (_, (request, values)) in std::mem::take(&mut self.putters) {
            events.push(Event::Refused(request, Why::Closed, values));
        }
        self.serve(events);
    }

    /// As [`close`](Line::close), but who waits to put still does.
    pub(crate) fn finish(&mut self, events: &mut Vec<Event<V, R>>) {
        self.closed = true;
        self.serve(events);
    }

    /// Ends all requests that wait.
    pub(crate) fn give_all_up(&mut self, events: &mut Vec<Event<V, R>>) {
        for (_, (request, values)) in std::mem::take(&mut self.putters) {
            events.push(Event::Refused(request, Why::NotNow, values));
        }
        for (_, (request, _)) in std::mem::take(&mut self.getters) {
            events.push(Event::Refused(request, Why::NotNow, Vec::new()));
        }
    }

    /// The values that the queue holds, in their order.
    pub(crate) fn into_values(self) -> impl Iterator<Item = V> {
        self.values.into_iter().map(|(_, value)| value)
    }

    /// Does what can be done, in the order of those who wait.
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
    /// All values, those of waiting requests included.
    pub(crate) fn all_values(&self) -> impl Iterator<Item = &V> {
        let waiting = self.putters.values().flat_map(|(_, values)| values);
        self.values.iter().map(|(_, value)| value).chain(waiting)
    }

    /// Those who wait.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (Ticket, &R)> {
        let putters = self.putters.iter().map(|(ticket, (who, _))| (*ticket, who));
        let getters = self.getters.iter().map(|(ticket, (who, _))| (*ticket, who));
        putters.chain(getters)
    }

    /// Asserts what holds between any two calls.
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
