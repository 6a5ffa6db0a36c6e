//! rayon: closures on the threads of one process.

#![forbid(unsafe_code)]

use std::{hint::black_box, time::Instant};

use mobula_peers::{Peer, WORKERS, busy};
use rayon::prelude::*;

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap_or_else(|error| panic!("no pool: {error}"))
}

fn in_flight(pool: &rayon::ThreadPool, tasks: usize) {
    // From outside of the pool, as a program's main thread does.
    pool.in_place_scope(|scope| {
        for _ in 0..tasks {
            scope.spawn(|_| {
                black_box(());
            });
        }
    });
}

fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (one, two) = rayon::join(|| fib(n - 1), || fib(n - 2));
    one + two
}

fn main() {
    let peer = Peer::new("rayon", env!("PEER_RAYON"));
    let start = |threads| {
        let taken = peer.samples(0.5, 1, || pool(threads).install(|| ()));
        peer.emit(&format!("start_{threads}"), "s", taken, None);
    };
    start(2);
    start(16);
    let pool = pool(WORKERS);
    peer.round_trips(1000, || pool.install(|| ()));
    peer.cold(|| pool.install(|| ()));
    peer.thousand(|| in_flight(&pool, 1000));
    peer.rate(
        "inflight_100k",
        100_000,
        Some("`scope`, without results"),
        || in_flight(&pool, 100_000),
    );
    let items: Vec<u64> = (0..1_000_000).collect();
    peer.rate(
        "map_trivial",
        items.len(),
        Some("`par_iter`, `collect`"),
        || {
            let out: Vec<u64> =
                pool.install(|| items.par_iter().map(|item| black_box(*item)).collect());
            black_box(out);
        },
    );
    peer.rate("map_single", 10_000, Some("`with_max_len(1)`"), || {
        let out: Vec<u64> = pool.install(|| {
            items[..10_000]
                .par_iter()
                .with_max_len(1)
                .map(|item| black_box(*item))
                .collect()
        });
        black_box(out);
    });
    peer.busy_maps(1, |items| {
        let out: Vec<u64> = pool.install(|| items.par_iter().map(|&item| busy(item)).collect());
        black_box(out);
    });
    let tasks = peer.size(1_000_000, 100_000);
    let begin = Instant::now();
    in_flight(&pool, tasks);
    let rate = tasks as f64 / begin.elapsed().as_secs_f64();
    peer.emit(
        "queued",
        "1/s",
        vec![rate],
        Some(&format!("{tasks} tasks, which run while others are queued")),
    );
    let calls = 1000;
    let taken = peer.samples(1.0, 1, || {
        pool.install(|| {
            for _ in 0..calls {
                rayon::join(|| black_box(()), || black_box(()));
            }
        });
    });
    let each = taken.iter().map(|taken| taken / calls as f64).collect();
    peer.emit("nested_call", "s", each, Some("`join` of two"));
    peer.rate("fib", 21_891, Some("`join`"), || {
        assert_eq!(pool.install(|| fib(black_box(20))), 6765);
    });
}
