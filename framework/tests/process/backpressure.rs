//! Calls that wait until fewer are pending.

use std::task::Poll;

use futures::{FutureExt, poll};
use mobula::prelude::*;

use crate::support::{Marks, eventually, mark, nothing_is_left};

fn limited(workers: usize, calls: usize) -> Runtime {
    Runtime::builder()
        .workers(workers)
        .store_capacity(256 << 20)
        .max_pending(calls)
        .start()
        .unwrap()
}

/// Runs until there are so many marks, of which it makes one.
#[remote]
fn holds(path: &str, until: u64) {
    mark(path);
    eventually("it is let go", || {
        std::fs::metadata(path).unwrap().len() >= until
    });
}

#[remote]
fn square(n: u64) -> u64 {
    n * n
}

#[mobula::test]
fn a_spawn_waits_until_a_call_has_ended() {
    let rt = limited(1, 2);
    let held = Marks::new();
    let holder = rt.spawn(holds::remote(held.path(), 2));
    let second = rt.spawn(square::remote(2));
    let error = rt.try_spawn(square::remote(0)).unwrap_err();
    assert!(error.is_backpressure(), "{error}");
    assert!(error.to_string().contains("`max_pending`"), "{error}");
    std::thread::scope(|scope| {
        let spawner = scope.spawn(|| {
            let third = rt.spawn(square::remote(3));
            // Nothing has ended before.
            assert_eq!(held.count(), 2);
            third.get().unwrap()
        });
        eventually("the first one runs", || held.count() == 1);
        mark(held.path());
        assert_eq!(spawner.join().unwrap(), 9);
    });
    holder.get().unwrap();
    assert_eq!(second.get().unwrap(), 4);
    rt.try_spawn(square::remote(5)).unwrap().get().unwrap();
}

#[mobula::test]
fn a_flood_of_calls_and_lists_of_calls_come_through() {
    let rt = limited(2, 10);
    let one_by_one: Vec<_> = (0..2000).map(|n| rt.spawn(square::remote(n))).collect();
    let together = rt.spawn_all((0..2000).map(square::remote));
    for refs in [&one_by_one, &together] {
        let values = rt.get(refs).unwrap();
        assert!(values.iter().zip(0..).all(|(value, n)| *value == n * n));
    }
    drop((one_by_one, together));
    nothing_is_left(&rt);
}

#[remote]
fn sum_to(n: u64) -> u64 {
    match n {
        0 => 0,
        _ => n + sum_to::remote(n - 1).spawn().get().unwrap(),
    }
}

#[mobula::test]
fn maps_and_calls_of_tasks_are_not_held_up() {
    let rt = limited(2, 1);
    let held = Marks::new();
    let holder = rt.spawn(holds::remote(held.path(), 2));
    let squares = rt.map((0..500).map(square::remote)).get().unwrap();
    assert_eq!(squares[20], 400);
    let sums = rt.map((0..20).map(sum_to::remote)).get().unwrap();
    assert_eq!(sums[19], 190);
    assert!(rt.try_spawn(square::remote(1)).is_err());
    mark(held.path());
    holder.get().unwrap();
    assert_eq!(rt.spawn(sum_to::remote(10)).get().unwrap(), 55);
}

#[remote]
fn aborts() {
    std::process::abort();
}

#[mobula::test]
fn calls_that_crash_or_are_cancelled_leave_their_places() {
    let rt = limited(1, 1);
    assert!(rt.spawn(aborts::remote()).get().unwrap_err().is_crash());
    assert_eq!(rt.spawn(square::remote(3)).get().unwrap(), 9);
    let held = Marks::new();
    let holder = rt.spawn(holds::remote(held.path(), 2));
    holder.cancel();
    assert_eq!(rt.spawn(square::remote(4)).get().unwrap(), 16);
}

#[mobula::test]
async fn a_future_waits_for_its_place_and_leaves_it_when_it_is_dropped() {
    let rt = limited(1, 1);
    let held = Marks::new();
    let holder = rt.spawn_async(holds::remote(held.path(), 2)).await;
    let mut first = Box::pin(rt.spawn_async(square::remote(1)));
    let mut second = Box::pin(rt.spawn_async(square::remote(2)));
    let mut third = Box::pin(rt.spawn_async(square::remote(3)));
    for future in [&mut first, &mut second, &mut third] {
        assert!(matches!(poll!(future), Poll::Pending));
    }
    drop(first);
    eventually("the first one runs", || held.count() == 1);
    mark(held.path());
    holder.await.unwrap();
    // The second one has its place now, and is dropped with that.
    drop(second);
    assert_eq!(third.await.await.unwrap(), 9);
    assert_eq!(rt.spawn_async(square::remote(4)).await.await.unwrap(), 16);
    assert!(rt.spawn_async(square::remote(5)).now_or_never().is_some());
}

#[mobula::test]
fn the_end_of_the_runtime_ends_a_spawn_that_waits() {
    let rt = limited(1, 1);
    let held = Marks::new();
    let holder = rt.spawn(holds::remote(held.path(), 99));
    let other = rt.clone();
    let spawner = std::thread::spawn(move || other.spawn(square::remote(1)).get().unwrap_err());
    eventually("the first one runs", || held.count() == 1);
    rt.shutdown();
    assert!(spawner.join().unwrap().is_shutdown());
    assert!(holder.get().is_err());
}

#[mobula::test]
fn a_limit_of_zero_is_refused() {
    let error = Runtime::builder().max_pending(0).start().unwrap_err();
    assert!(error.is_usage(), "{error}");
    assert!(error.to_string().contains("`max_pending`"), "{error}");
}
