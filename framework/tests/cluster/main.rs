//! The promises of a runtime on a Ray cluster beside the conformance suite: large data, deaths, the
//! end. Skipped unless `$MOBULA_TEST_RAY` names a cluster.

#![forbid(unsafe_code)]

mod kills;
mod links;
mod nodes;
mod placement;
mod python;
mod support;

use std::time::{Duration, Instant};

use mobula::prelude::*;

use support::{LONG, start};

#[remote]
fn sum(numbers: &[f64]) -> f64 {
    numbers.iter().sum()
}

#[remote]
fn where_it_lies(numbers: &[f64]) -> String {
    let address = numbers.as_ptr() as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [start, end] = [start, end].map(|n| usize::from_str_radix(n, 16).unwrap());
        (start..end).contains(&address)
    });
    line.unwrap().to_owned()
}

#[remote]
fn count_up(n: usize) -> Vec<f64> {
    (0..n).map(|n| n as f64).collect()
}

#[remote]
fn dies() -> u32 {
    std::process::abort()
}

#[remote]
fn dies_at_first(file: &str) -> u32 {
    let first = std::fs::File::create_new(file).is_ok();
    if first {
        std::process::abort()
    }
    7
}

#[remote]
fn sleeps(ms: u64) -> u32 {
    std::thread::sleep(Duration::from_millis(ms));
    1
}

#[remote]
fn nested(n: u64) -> mobula::Result<u64> {
    if n < 2 {
        return Ok(n);
    }
    let (a, b) = (nested::remote(n - 1).spawn(), nested::remote(n - 2).spawn());
    Ok(a.get()? + b.get()?)
}

#[mobula::test]
fn large_arguments_are_read_where_ray_keeps_them() {
    let Some(rt) = start() else { return };
    let numbers = rt.put(&vec![0.5; 1_000_000]).unwrap();
    assert_eq!(rt.spawn(sum::remote(&numbers)).get().unwrap(), 500_000.0);
    let line = rt.spawn(where_it_lies::remote(&numbers)).get().unwrap();
    // A read-only mapping of a shared file.
    assert!(line.contains(" r--s ") && line.contains("plasma"), "{line}");
}

#[mobula::test]
fn large_results_are_arguments_of_others_and_come_to_the_program() {
    let Some(rt) = start() else { return };
    let made = rt.spawn(count_up::remote(1_000_000));
    let total = rt.spawn(sum::remote(&made));
    assert_eq!(total.get().unwrap(), 499_999_500_000.0);
    assert_eq!(made.get().unwrap()[999_999], 999_999.0);
}

#[mobula::test]
fn a_process_that_dies_is_an_error_or_its_call_runs_again() {
    let Some(rt) = start() else { return };
    let error = rt.spawn(dies::remote()).get_timeout(LONG).unwrap_err();
    assert!(
        error.is_crash() && error.to_string().contains("SIGABRT"),
        "{error}"
    );
    // The node goes on.
    assert_eq!(rt.spawn(sleeps::remote(1)).get_timeout(LONG).unwrap(), 1);
    let file = std::env::temp_dir().join(format!("mobula-cluster-test-{}", std::process::id()));
    let name = file.to_str().unwrap().to_owned();
    let again = rt.spawn(dies_at_first::remote(&name).retries(1));
    let value = again.get_timeout(LONG);
    let _ = std::fs::remove_file(&file);
    assert_eq!(value.unwrap(), 7);
}

#[mobula::test]
fn tasks_that_wait_for_tasks_do_not_hold_their_cores() {
    let Some(rt) = start() else { return };
    // Deeper than there are cores.
    assert_eq!(rt.spawn(nested::remote(5)).get_timeout(LONG).unwrap(), 5);
}

#[mobula::test]
fn a_cancelled_call_ends_and_so_does_what_waits_for_it() {
    let Some(rt) = start() else { return };
    let long = rt.spawn(sleeps::remote(60_000));
    std::thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    long.cancel();
    let error = long.get_timeout(LONG).unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    assert!(began.elapsed() < LONG / 2);
}

#[mobula::test]
fn a_limit_of_time_ends_an_endless_call() {
    let Some(rt) = start() else { return };
    let limit = Duration::from_millis(300);
    let call = sleeps::remote(60_000).timeout(limit).grace(limit);
    let error = rt.spawn(call).get_timeout(LONG).unwrap_err();
    assert!(error.is_task_timeout(), "{error}");
}

#[mobula::test]
fn the_end_of_a_runtime_leaves_no_process() {
    let Some(rt) = start() else { return };
    let pid = rt.spawn(process::remote()).get().unwrap();
    rt.shutdown();
    let gone = || std::fs::metadata(format!("/proc/{pid}")).is_err();
    let began = Instant::now();
    while !gone() {
        assert!(began.elapsed() < LONG, "process {pid} is left");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[remote]
fn process() -> u32 {
    std::process::id()
}
