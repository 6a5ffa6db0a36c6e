//! Calls that go before others.

use std::time::Duration;

use mobula::prelude::*;

use crate::support::{Marks, eventually, mark, runtime};

/// Runs until there are so many marks, of which it makes one.
#[remote]
fn holds(path: &str, until: u64) {
    mark(path);
    while std::fs::metadata(path).unwrap().len() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[remote]
fn place(path: &str) -> u64 {
    mark(path)
}

#[remote(priority = -7)]
fn last(path: &str) -> u64 {
    mark(path)
}

#[mobula::test]
fn a_call_of_high_priority_overtakes_those_in_the_queue_of_its_worker() {
    let rt = runtime(1);
    let (held, order) = (Marks::new(), Marks::new());
    let holder = rt.spawn(holds::remote(held.path(), 2));
    eventually("the worker is busy", || held.count() == 1);
    let last = rt.spawn(last::remote(order.path()));
    let usual = rt.spawn_all((0..1000).map(|_| place::remote(order.path())));
    let high = rt.spawn(place::remote(order.path()).priority(3));
    let higher = rt.spawn(place::remote(order.path()).priority(4));
    let lower = rt.spawn(place::remote(order.path()).priority(-8));
    mark(held.path());
    assert_eq!(rt.get((&higher, &high)).unwrap(), (1, 2));
    let places = rt.get(&usual).unwrap();
    assert!(places.iter().copied().eq(3..1003));
    assert_eq!(rt.get((&last, &lower)).unwrap(), (1003, 1004));
    holder.get().unwrap();
}

#[mobula::test]
fn a_map_of_high_priority_goes_before_what_is_queued() {
    let rt = runtime(1);
    let (held, order) = (Marks::new(), Marks::new());
    let holder = rt.spawn(holds::remote(held.path(), 2));
    eventually("the worker is busy", || held.count() == 1);
    let usual = rt.spawn_all((0..300).map(|_| place::remote(order.path())));
    let calls = (0..50).map(|_| place::remote(order.path()).priority(1));
    let mut map = rt.map(calls).iter();
    // The first look sends the map's first calls.
    let early = map.next_timeout(Duration::from_millis(1));
    assert!(early.unwrap_err().is_timeout());
    mark(held.path());
    let first = map.next().unwrap().unwrap();
    assert_eq!(first, 1);
    drop((map, usual, holder));
}
