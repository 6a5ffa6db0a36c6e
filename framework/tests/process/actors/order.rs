//! In which order calls run, and what they may write.

use std::time::Duration;

use mobula::prelude::*;

use super::{LONG, Log};
use crate::support::runtime;

#[remote]
fn after(ms: u64, n: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(ms));
    n
}

#[remote]
fn add_many(log: ActorRef<Log>, first: u64, n: u64, pause: u64) -> mobula::Result<()> {
    for i in first..first + n {
        std::thread::sleep(Duration::from_millis(pause));
        log.add(i).spawn().get()?;
    }
    Ok(())
}

#[mobula::test]
fn calls_of_one_caller_run_in_order_whenever_their_inputs_are_ready() {
    let rt = runtime(3);
    let log = rt.spawn_actor(Log::remote());
    let sizes: Vec<_> = (0..100_u64)
        .map(|n| log.add(after::remote((n * 7919) % 13, n).spawn()).spawn())
        .collect();
    let expected: Vec<usize> = (1..=100).collect();
    assert_eq!(rt.get(&sizes).unwrap(), expected);
    let entries = log.entries().spawn().get().unwrap();
    assert_eq!(entries, (0..100).collect::<Vec<_>>());
}

#[mobula::test]
fn a_slow_caller_does_not_delay_another() {
    let rt = runtime(3);
    let log = rt.spawn_actor(Log::remote());
    log.add(0).spawn().get().unwrap();
    let slow = add_many::remote(&log, 1000, 20, 100).spawn();
    let fast = add_many::remote(&log, 1, 50, 0).spawn();
    fast.get_timeout(LONG).unwrap();
    assert!(
        !slow.is_ready(),
        "the fast caller has waited for the slow one"
    );
    slow.get_timeout(LONG).unwrap();
    let entries = log.entries().spawn().get().unwrap();
    let fast: Vec<u64> = entries
        .iter()
        .copied()
        .filter(|n| (1..=50).contains(n))
        .collect();
    assert_eq!(fast, (1..=50).collect::<Vec<_>>());
}

#[mobula::test]
fn a_method_writes_parts_of_a_shared_array() {
    let rt = runtime(1);
    let log = rt.spawn_actor(Log::remote());
    let array = rt.shared_array::<f64>(10_000, 0.0).unwrap();
    for (n, part) in array.chunks_mut(5_000).unwrap().into_iter().enumerate() {
        let filled = log.fill(part, 1.0 + n as f64).spawn();
        filled.get_timeout(LONG).unwrap();
    }
    let view = array.seal().unwrap().view().unwrap();
    assert_eq!((view[0], view[9_999]), (1.0, 2.0));
}

/// Remembers, and lets others begin while it waits.
struct Waiting {
    entries: Vec<u64>,
}

#[remote]
impl Waiting {
    fn new() -> Self {
        Waiting {
            entries: Vec::new(),
        }
    }

    async fn wait(&self, us: u64) {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_micros(us)).await;
        }
    }

    fn add(&mut self, n: u64) {
        self.entries.push(n);
    }

    fn entries(&self) -> Vec<u64> {
        self.entries.clone()
    }
}

#[mobula::test]
fn calls_keep_their_order_among_others_that_wait() {
    let rt = runtime(1);
    let actor = rt.spawn_actor(Waiting::remote());
    let mut calls = Vec::new();
    for n in 0..1500 {
        if n % 3 == 0 {
            actor.wait(n % 7 * 30).spawn().detach();
        }
        calls.push(actor.add(n).spawn());
    }
    rt.get(&calls).unwrap();
    let entries = actor.entries().spawn().get().unwrap();
    let wrong = (0..1500)
        .zip(&entries)
        .filter(|(n, entry)| n != *entry)
        .count();
    assert_eq!(wrong, 0, "of 1500");
}

#[mobula::test]
fn calls_that_need_the_value_alone_run_in_order_beside_others() {
    let rt = runtime(1);
    let log = rt.spawn_actor(Log::remote().max_concurrency(8));
    ActorRef::ready(&log).unwrap();
    for round in 0..40 {
        let calls: Vec<_> = (0..50)
            .map(|n| {
                let _read = log.entries().spawn();
                log.add(round * 50 + n).spawn()
            })
            .collect();
        let sizes = rt.get(&calls).unwrap();
        let first = round as usize * 50 + 1;
        assert!(sizes.into_iter().eq(first..first + 50), "in round {round}");
    }
    let entries = log.entries().spawn().get().unwrap();
    assert!(entries.into_iter().eq(0..2000));
}
