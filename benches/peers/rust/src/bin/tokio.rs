//! tokio: futures on the threads of one process.

#![forbid(unsafe_code)]

use std::{pin::Pin, time::Instant};

use mobula_peers::{Peer, WORKERS};
use tokio::runtime::{Builder, Runtime};

fn threads(workers: usize) -> Runtime {
    let built = Builder::new_multi_thread().worker_threads(workers).build();
    built.unwrap_or_else(|error| panic!("no runtime: {error}"))
}

async fn round_trip() {
    let done = tokio::spawn(async {}).await;
    done.unwrap_or_else(|error| panic!("the task failed: {error}"));
}

async fn in_flight(tasks: usize) {
    let handles: Vec<_> = (0..tasks).map(|_| tokio::spawn(async {})).collect();
    for handle in handles {
        handle
            .await
            .unwrap_or_else(|error| panic!("the task failed: {error}"));
    }
}

fn done<T>(result: Result<T, tokio::task::JoinError>) -> T {
    result.unwrap_or_else(|error| panic!("the task failed: {error}"))
}

fn fib(n: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if n < 2 {
            return n;
        }
        let (one, two) = (tokio::spawn(fib(n - 1)), tokio::spawn(fib(n - 2)));
        done(one.await) + done(two.await)
    })
}

/// The seconds of one of the calls that a task makes one by one.
async fn calls_one_by_one(calls: u32) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        round_trip().await;
    }
    start.elapsed().as_secs_f64() / f64::from(calls)
}

/// Tasks that wait are cancelled, each by a call: how many per second.
async fn cancel_waiting(tasks: usize) -> f64 {
    let handles: Vec<_> = (0..tasks)
        .map(|_| tokio::spawn(std::future::pending::<()>()))
        .collect();
    let start = Instant::now();
    for handle in &handles {
        handle.abort();
    }
    let rate = tasks as f64 / start.elapsed().as_secs_f64();
    for handle in handles {
        let ended = handle.await;
        assert!(ended.is_err_and(|error| error.is_cancelled()), "it ran");
    }
    rate
}

/// The seconds of each round trip, all in one future.
async fn round_trips(rounds: usize) -> Vec<f64> {
    for _ in 0..1000 {
        round_trip().await;
    }
    let mut taken = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = Instant::now();
        round_trip().await;
        taken.push(start.elapsed().as_secs_f64());
    }
    taken
}

fn main() {
    let peer = Peer::new("tokio", env!("PEER_TOKIO"));
    let taken = peer.samples(0.5, 1, || threads(2).block_on(round_trip()));
    peer.emit("start_2", "s", taken, None);

    let rounds = peer.size(100_000, 10_000);
    let runtime = threads(WORKERS);
    let taken = runtime.block_on(round_trips(rounds));
    let rates = taken.iter().map(|seconds| 1.0 / seconds).collect();
    peer.emit("roundtrip", "s", taken.clone(), Some("`spawn`, `block_on`"));
    peer.emit("tasks_sync", "1/s", rates, Some("`spawn`, `block_on`"));
    peer.emit("await_outside", "s", taken, None);
    let inside = runtime.block_on(runtime.spawn(round_trips(rounds)));
    peer.emit("await_inside", "s", inside.unwrap_or_default(), None);
    let one = Builder::new_current_thread().build();
    let one = one.unwrap_or_else(|error| panic!("no runtime: {error}"));
    peer.emit(
        "await_one_thread",
        "s",
        one.block_on(round_trips(rounds)),
        None,
    );
    peer.time("await_blocking", 1000, || {
        let done = runtime.block_on(runtime.spawn_blocking(|| ()));
        done.unwrap_or_else(|error| panic!("the task failed: {error}"));
    });
    peer.cold(|| runtime.block_on(round_trip()));
    peer.thousand(|| runtime.block_on(in_flight(1000)));
    peer.rate("inflight_100k", 100_000, None, || {
        runtime.block_on(in_flight(100_000))
    });
    let tasks = peer.size(1_000_000, 100_000);
    let start = Instant::now();
    runtime.block_on(in_flight(tasks));
    let rate = tasks as f64 / start.elapsed().as_secs_f64();
    peer.emit(
        "queued",
        "1/s",
        vec![rate],
        Some(&format!("{tasks} tasks, which run while others are queued")),
    );
    let rates = (0..30).map(|_| runtime.block_on(cancel_waiting(10_000)));
    let note = "futures that wait, one call for each";
    peer.emit("cancel_queued", "1/s", rates.collect(), Some(note));
    let calls = (0..30).map(|_| done(runtime.block_on(runtime.spawn(calls_one_by_one(1000)))));
    peer.emit("nested_call", "s", calls.collect(), None);
    peer.rate("fib", 21_891, None, || {
        let result = runtime.block_on(async { done(tokio::spawn(fib(20)).await) });
        assert_eq!(result, 6765);
    });
}
