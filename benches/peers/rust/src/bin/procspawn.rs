//! procspawn: closures in further processes of the same program.

#![forbid(unsafe_code)]

use std::collections::VecDeque;

use mobula_peers::{Peer, WORKERS, busy};
use procspawn::Pool;

fn pool(processes: usize) -> Pool {
    Pool::new(processes).unwrap_or_else(|error| panic!("no pool: {error}"))
}

fn joined<T: serde::Serialize + serde::de::DeserializeOwned>(
    handle: procspawn::JoinHandle<T>,
) -> T {
    handle
        .join()
        .unwrap_or_else(|error| panic!("the task failed: {error}"))
}

fn round_trip(pool: &Pool) {
    joined(procspawn::spawn!(in pool, () || ()));
}

fn in_flight(pool: &Pool, tasks: usize) {
    let handles: Vec<_> = (0..tasks)
        .map(|_| procspawn::spawn!(in pool, () || ()))
        .collect();
    handles.into_iter().for_each(joined);
}

/// Calls in flight in a map: each has a pipe, and there may be about a thousand.
const IN_FLIGHT: usize = 400;

fn mapped(pool: &Pool, items: &[u64]) -> Vec<u64> {
    let spawn = |&item: &u64| procspawn::spawn!(in pool, (item) || busy(item));
    let (first, rest) = items.split_at(items.len().min(IN_FLIGHT));
    let mut handles: VecDeque<_> = first.iter().map(spawn).collect();
    let mut rest = rest.iter();
    let mut results = Vec::with_capacity(items.len());
    while let Some(handle) = handles.pop_front() {
        results.push(joined(handle));
        handles.extend(rest.next().map(spawn));
    }
    results
}

fn main() {
    procspawn::init();
    let peer = Peer::new("procspawn", env!("PEER_PROCSPAWN"));
    let start = |processes| {
        let taken = peer.samples(0.5, 1, || {
            let pool = pool(processes);
            round_trip(&pool);
            pool.shutdown();
        });
        peer.emit(
            &format!("start_{processes}"),
            "s",
            taken,
            Some("and its end"),
        );
    };
    start(2);
    let pool = pool(WORKERS);
    peer.round_trips(100, || round_trip(&pool));
    peer.cold(|| round_trip(&pool));
    peer.thousand(|| in_flight(&pool, 1000));
    peer.rate("map_single", 1_000, Some("1,000 items"), || {
        mapped(&pool, &[0; 1_000]);
    });
    peer.busy_maps(10, |items| {
        mapped(&pool, items);
    });
    for (name, size) in [
        ("64", 64),
        ("4k", 4 << 10),
        ("64k", 64 << 10),
        ("1m", 1 << 20),
        ("256m", 256 << 20),
    ] {
        peer.time(&format!("result_{name}"), 1, || {
            joined(procspawn::spawn!(in pool, (size => size) || vec![1_u8; size as usize]));
        });
    }
    pool.shutdown();
}
