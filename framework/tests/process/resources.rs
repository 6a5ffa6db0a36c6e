//! Calls that need more than a worker.

use std::time::Duration;

use mobula::prelude::*;

use crate::support::{Marks, eventually, mark, runtime};

/// Runs until there are so many marks at `held`, of which it makes none. Says how many ran with it
/// at most, as far as it saw.
#[remote]
fn holds(running: &str, held: &str, until: u64) -> u64 {
    mark(running);
    let count = |path: &str| std::fs::metadata(path).map_or(0, |file| file.len());
    while count(held) < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    count(running)
}

#[remote(num_cpus = 2)]
fn holds_two(running: &str, held: &str, until: u64) {
    holds(running, held, until);
}

#[remote(num_cpus = 0.25, resources(gpu = 1, "disk" = 0.5), memory = 1 << 20)]
fn needs_all() -> u32 {
    7
}

#[remote(num_cpus = 2)]
fn sums(numbers: Vec<u64>) -> u64 {
    let calls = numbers.iter().map(|n| twice::remote(*n).num_cpus(2));
    let twice: Vec<_> = calls.map(UnspawnedCall::spawn).collect();
    twice.into_iter().map(|n| n.get().unwrap()).sum()
}

#[remote]
fn twice(n: u64) -> u64 {
    2 * n
}

#[remote(resources(gpu = 1), retries = 1)]
fn dies() {
    std::process::abort();
}

#[remote(resources(gpu = 1))]
fn panics() {
    panic!("on purpose");
}

#[remote(resources(gpu = 1))]
fn fails() -> Result<(), String> {
    Err("on purpose".to_owned())
}

#[remote(resources(gpu = 1))]
fn never_ends() {
    loop {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[remote(resources(gpu = 1))]
async fn sleeps(n: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(2)).await;
    n
}

fn with_gpu(workers: usize, units: u32) -> Runtime {
    let builder = Runtime::builder().workers(workers);
    builder
        .store_capacity(64 << 20)
        .resource("gpu", units)
        .start()
        .unwrap()
}

#[mobula::test]
fn a_call_with_two_cores_leaves_room_for_two_plain_ones_on_four_workers() {
    let rt = runtime(4);
    let (running, held) = (Marks::new(), Marks::new());
    let big = rt.spawn(holds_two::remote(running.path(), held.path(), 1));
    eventually("the big call runs", || running.count() == 1);
    let plain = rt.spawn_all((0..20).map(|_| holds::remote(running.path(), held.path(), 1)));
    eventually("two plain ones run", || running.count() == 3);
    // A fifth of these could begin only now.
    let quick = rt.spawn(twice::remote(4).num_cpus(1).priority(5));
    let waited = quick.wait_timeout(Duration::from_millis(50));
    assert!(waited.unwrap_err().is_timeout());
    assert_eq!(running.count(), 3);
    mark(held.path());
    assert_eq!(quick.get().unwrap(), 8);
    big.get().unwrap();
    for call in plain {
        call.get().unwrap();
    }
}

#[mobula::test]
fn quarters_of_a_core_run_beside_each_other() {
    let rt = Runtime::builder()
        .workers(6)
        .num_cpus(1)
        .store_capacity(64 << 20);
    let rt = rt.start().unwrap();
    let (running, held) = (Marks::new(), Marks::new());
    let call = || holds::remote(running.path(), held.path(), 1).num_cpus(0.25);
    let calls = rt.spawn_all((0..6).map(|_| call()));
    eventually("four of them run", || running.count() == 4);
    let plain = rt.spawn(twice::remote(1));
    let waited = plain.wait_timeout(Duration::from_millis(50));
    assert!(waited.unwrap_err().is_timeout());
    assert_eq!(running.count(), 4);
    mark(held.path());
    for call in calls {
        assert!(call.get().unwrap() >= 4);
    }
    assert_eq!(plain.get().unwrap(), 2);
}

#[mobula::test]
fn calls_with_all_kinds_of_resources_run_and_leave_nothing_behind() {
    let builder = Runtime::builder().workers(2).store_capacity(64 << 20);
    let builder = builder
        .resource("gpu", 2)
        .resource("disk", 1)
        .memory(1 << 20);
    let rt = builder.start().unwrap();
    let calls = rt.spawn_all((0..500).map(|_| needs_all::remote()));
    for call in calls {
        assert_eq!(call.get().unwrap(), 7);
    }
    let mapped = rt
        .map((0..500).map(|n| twice::remote(n).resource("gpu", 2)))
        .get();
    assert_eq!(mapped.unwrap().len(), 500);
    // All of it is there.
    let all = needs_all::remote()
        .num_cpus(2)
        .resource("gpu", 2)
        .resource("disk", 1);
    assert_eq!(rt.spawn(all).get().unwrap(), 7);
}

#[mobula::test]
fn a_call_that_waits_for_calls_gives_them_its_cores() {
    let rt = runtime(2);
    let sums = rt.spawn_all((0..10).map(|_| sums::remote(vec![1, 2, 3])));
    for sum in sums {
        assert_eq!(sum.get().unwrap(), 12);
    }
}

#[mobula::test]
fn an_asynchronous_call_keeps_its_unit_while_it_sleeps() {
    let rt = with_gpu(2, 1);
    let calls = rt.spawn_all((0..20).map(sleeps::remote));
    let sum: u64 = calls.into_iter().map(|call| call.get().unwrap()).sum();
    assert_eq!(sum, 190);
}

#[mobula::test]
fn units_come_back_from_calls_that_die_panic_fail_or_are_cancelled() {
    let rt = with_gpu(2, 1);
    for round in 0..3 {
        assert!(
            rt.spawn(dies::remote()).get().unwrap_err().is_crash(),
            "{round}"
        );
        assert!(rt.spawn(panics::remote()).get().unwrap_err().is_panic());
        assert!(rt.spawn(fails::remote()).get().is_err());
        let endless = rt.spawn(never_ends::remote().grace(Duration::ZERO));
        let queued = rt.spawn(never_ends::remote());
        queued.cancel();
        endless.cancel();
        assert!(queued.get().unwrap_err().is_cancelled());
        let limit = Duration::from_millis(5);
        let slow = never_ends::remote().timeout(limit).grace(Duration::ZERO);
        assert!(rt.spawn(slow).get().unwrap_err().is_task_timeout());
        let deadline = never_ends::remote().deadline(limit).grace(Duration::ZERO);
        assert!(rt.spawn(deadline).get().unwrap_err().is_task_timeout());
    }
    assert_eq!(rt.spawn(sleeps::remote(5)).get().unwrap(), 5);
}

#[mobula::test]
fn the_end_of_a_runtime_does_not_wait_for_resources() {
    let rt = with_gpu(1, 1);
    let endless = rt.spawn(never_ends::remote());
    let waits = rt.spawn(sleeps::remote(1));
    rt.shutdown();
    assert!(endless.get().unwrap_err().is_shutdown());
    assert!(waits.get().unwrap_err().is_shutdown());
}

#[mobula::test]
fn calls_of_tasks_are_checked_as_those_of_the_driver() {
    let rt = with_gpu(1, 1);
    let error = rt.spawn(asks_too_much::remote()).get().unwrap();
    assert!(
        error.contains("could never run") && error.contains("`gpu`"),
        "{error}"
    );
}

#[remote]
fn asks_too_much() -> String {
    let call = twice::remote(1).resource("gpu", 2).spawn();
    call.get().unwrap_err().to_string()
}

#[mobula::test]
fn wrong_totals_are_errors_of_the_start() {
    let builder = || Runtime::builder().workers(1).store_capacity(64 << 20);
    for (builder, part) in [
        (builder().num_cpus(0.5), "0.5"),
        (builder().num_cpus(f64::NAN), "NaN"),
        (builder().num_cpus(f64::INFINITY), "inf"),
        (builder().num_cpus(-1), "-1"),
        (builder().memory(0), "above 0"),
        (builder().resource("gpu", 0), "`gpu`"),
        (builder().resource("", 1), "cannot be called"),
        (builder().resource("num_cpus", 1), "`Builder::num_cpus`"),
    ] {
        let error = builder.start().unwrap_err();
        assert!(
            error.is_usage() && error.to_string().contains(part),
            "{error}"
        );
    }
}
