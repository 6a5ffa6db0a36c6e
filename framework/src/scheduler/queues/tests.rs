//! The line compared with a slow and simple model.

use super::line::{Event, Line, Place, Ticket, Why};
use crate::scheduler::tests::Dice;

/// Requests by number.
type Name = u32;
type Line32 = Line<u32, Name>;

fn run(
    line: &mut Line32,
    act: impl FnOnce(&mut Line32, &mut Vec<Event<u32, Name>>),
) -> Vec<Event<u32, Name>> {
    let mut events = Vec::new();
    act(line, &mut events);
    line.check();
    events
}

fn put(line: &mut Line32, name: Name, values: &[u32], waits: bool) -> Vec<Event<u32, Name>> {
    run(line, |line, events| {
        line.put(name, values.to_vec(), waits, events);
    })
}

fn get(line: &mut Line32, name: Name, count: usize, waits: bool) -> Vec<Event<u32, Name>> {
    run(line, |line, events| {
        line.get(name, count, waits, events);
    })
}

#[test]
fn who_waits_longer_is_served_first() {
    let mut line = Line32::new(2);
    assert_eq!(get(&mut line, 1, 2, true), []);
    assert_eq!(get(&mut line, 2, 1, true), []);
    // The second get needs only one value.
    assert_eq!(put(&mut line, 3, &[10], true), [Event::Put(3)]);
    assert_eq!(
        put(&mut line, 4, &[11, 12], true),
        [] as [Event<u32, Name>; 0]
    );
    assert_eq!(
        put(&mut line, 5, &[13], false),
        [Event::Refused(5, Why::NotNow, vec![13])],
        "others wait"
    );
    let served = run(&mut line, |line, events| line.give_up(1, events));
    assert_eq!(
        served,
        [
            Event::Refused(1, Why::NotNow, vec![]),
            Event::Got(2, vec![(0, 10)]),
            Event::Put(4),
        ]
    );
    assert_eq!(
        get(&mut line, 6, 2, false),
        [Event::Got(6, vec![(1, 11), (2, 12)])]
    );
}

#[test]
fn what_comes_back_takes_its_place_also_beyond_the_capacity() {
    let mut line = Line32::new(2);
    put(&mut line, 1, &[10, 11], true);
    get(&mut line, 2, 1, true);
    get(&mut line, 3, 1, true);
    put(&mut line, 4, &[12, 13], true);
    assert_eq!(put(&mut line, 5, &[14], true), []);
    // The order of the returns does not matter.
    run(&mut line, |line, events| line.give_back(1, 11, events));
    run(&mut line, |line, events| line.give_back(0, 10, events));
    assert_eq!(line.len(), 4);
    let got = get(&mut line, 6, 2, true);
    assert_eq!(got, [Event::Got(6, vec![(0, 10), (1, 11)])]);
    let got = get(&mut line, 7, 2, true);
    assert_eq!(got, [Event::Got(7, vec![(2, 12), (3, 13)]), Event::Put(5)]);
}

#[test]
fn a_closed_line_gives_what_it_has() {
    let mut line = Line32::new(3);
    put(&mut line, 1, &[10, 11], true);
    put(&mut line, 2, &[12, 13], true);
    let closed = run(&mut line, |line, events| line.close(events));
    assert_eq!(closed, [Event::Refused(2, Why::Closed, vec![12, 13])]);
    let refused = put(&mut line, 3, &[14], false);
    assert_eq!(refused, [Event::Refused(3, Why::Closed, vec![14])]);
    for waits in [true, false] {
        let refused = get(&mut line, 4, 3, waits);
        assert_eq!(refused, [Event::Refused(4, Why::Closed, vec![])]);
    }
    assert!(matches!(
        &get(&mut line, 5, 2, true)[..],
        [Event::Got(5, _)]
    ));
    assert!(matches!(
        &get(&mut line, 6, 1, true)[..],
        [Event::Refused(6, Why::Closed, _)]
    ));
}

#[test]
fn a_finished_line_takes_in_what_waited_before() {
    let mut line = Line32::new(1);
    put(&mut line, 1, &[10], true);
    put(&mut line, 2, &[11], true);
    assert_eq!((line.len(), line.accepted()), (1, 2));
    assert_eq!(run(&mut line, |line, events| line.finish(events)), []);
    let refused = put(&mut line, 3, &[12], true);
    assert_eq!(refused, [Event::Refused(3, Why::Closed, vec![12])]);
    let got = get(&mut line, 4, 1, true);
    assert_eq!(got, [Event::Got(4, vec![(0, 10)]), Event::Put(2)]);
    assert_eq!(get(&mut line, 5, 1, true), [Event::Got(5, vec![(1, 11)])]);
    let refused = get(&mut line, 6, 1, true);
    assert_eq!(refused, [Event::Refused(6, Why::Closed, vec![])]);
    assert_eq!(line.accepted(), 2);
}

/// A model of a queue: lists that each operation searches.
#[derive(Default)]
struct Model {
    capacity: usize,
    values: Vec<(Place, u32)>,
    places: Place,
    /// The waiting puts in the order of arrival, with their values. `getters` has the number of
    /// values.
    putters: Vec<(Name, Vec<u32>)>,
    getters: Vec<(Name, usize)>,
    closed: bool,
    events: Vec<Event<u32, Name>>,
}

impl Model {
    fn put(&mut self, name: Name, values: Vec<u32>, waits: bool) {
        let room = self.capacity.saturating_sub(self.values.len());
        if self.closed {
            self.events.push(Event::Refused(name, Why::Closed, values));
        } else if waits || self.putters.is_empty() && values.len() <= room {
            self.putters.push((name, values));
        } else {
            self.events.push(Event::Refused(name, Why::NotNow, values));
        }
        self.settle();
    }

    fn get(&mut self, name: Name, count: usize, waits: bool) {
        if waits || self.getters.is_empty() && count <= self.values.len() {
            self.getters.push((name, count));
        } else {
            let why = if self.closed {
                Why::Closed
            } else {
                Why::NotNow
            };
            self.events.push(Event::Refused(name, why, vec![]));
        }
        self.settle();
    }

    fn give_up(&mut self, name: Name) {
        if let Some(at) = self.putters.iter().position(|(other, _)| *other == name) {
            let (_, values) = self.putters.remove(at);
            self.events.push(Event::Refused(name, Why::NotNow, values));
        }
        if let Some(at) = self.getters.iter().position(|(other, _)| *other == name) {
            self.getters.remove(at);
            self.events.push(Event::Refused(name, Why::NotNow, vec![]));
        }
        self.settle();
    }

    fn give_back(&mut self, place: Place, value: u32) {
        self.values.push((place, value));
        self.values.sort_unstable();
        self.settle();
    }

    fn close(&mut self) {
        self.closed = true;
        for (name, values) in std::mem::take(&mut self.putters) {
            self.events.push(Event::Refused(name, Why::Closed, values));
        }
        self.settle();
    }

    fn finish(&mut self) {
        self.closed = true;
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            if let Some((_, values)) = self.putters.first()
                && self.values.len() + values.len() <= self.capacity.max(self.values.len())
            {
                let (name, values) = self.putters.remove(0);
                for value in values {
                    self.values.push((self.places, value));
                    self.places += 1;
                }
                self.events.push(Event::Put(name));
            } else if let Some((_, count)) = self.getters.first()
                && *count <= self.values.len()
            {
                let (name, count) = self.getters.remove(0);
                let got = self.values.drain(..count).collect();
                self.events.push(Event::Got(name, got));
            } else if self.closed && !self.getters.is_empty() {
                let (name, _) = self.getters.remove(0);
                self.events.push(Event::Refused(name, Why::Closed, vec![]));
            } else {
                return;
            }
        }
    }
}

#[test]
fn random_histories_go_as_in_the_model() {
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let capacity = 1 + dice.below(5);
        let mut line = Line32::new(capacity);
        let mut model = Model {
            capacity,
            ..Model::default()
        };
        let (mut tickets, mut taken) = (Vec::<(Name, Ticket)>::new(), Vec::new());
        let mut numbers = 0;
        for name in 0..300 {
            let waits = dice.below(3) > 0;
            let count = dice.below(capacity + 1);
            let mut events = Vec::new();
            match dice.below(20) {
                0..8 => {
                    let values: Vec<u32> = (0..count as u32).map(|n| numbers + n).collect();
                    numbers += count as u32;
                    let ticket = line.put(name, values.clone(), waits, &mut events);
                    tickets.push((name, ticket));
                    model.put(name, values, waits);
                }
                8..15 => {
                    let ticket = line.get(name, count, waits, &mut events);
                    tickets.push((name, ticket));
                    model.get(name, count, waits);
                }
                15..17 if !tickets.is_empty() => {
                    let at = dice.below(tickets.len());
                    let (name, ticket) = tickets.swap_remove(at);
                    line.give_up(ticket, &mut events);
                    model.give_up(name);
                }
                17..19 if !taken.is_empty() => {
                    let at = dice.below(taken.len());
                    let (place, value) = taken.swap_remove(at);
                    line.give_back(place, value, &mut events);
                    model.give_back(place, value);
                }
                19 if dice.below(10) == 0 => {
                    if dice.below(2) == 0 {
                        line.close(&mut events);
                        model.close();
                    } else {
                        line.finish(&mut events);
                        model.finish();
                    }
                }
                _ => {}
            }
            line.check();
            assert_eq!(events, std::mem::take(&mut model.events), "seed {seed}");
            assert_eq!(
                (line.len(), line.is_closed()),
                (model.values.len(), model.closed)
            );
            for event in events {
                if let Event::Got(_, values) = event {
                    taken.extend(values);
                }
            }
        }
        // Each value is in one place only: in the queue, in a waiting request, or with a get.
        // Refused values are in none.
        let mut seen: Vec<u32> = line.all_values().copied().collect();
        seen.extend(taken.iter().map(|(_, value)| *value));
        seen.sort_unstable();
        let before = seen.len();
        seen.dedup();
        assert_eq!(seen.len(), before, "seed {seed}: a value is there twice");
    }
}
