//! Workers that are replaced although nothing is wrong with them.

use std::collections::BTreeMap;

use mobula::{prelude::*, worker_local};

use crate::support::{Marks, eventually, lives, mark, nothing_is_left, runtime};

/// Fails where it is asked to. Says the process either way.
#[remote(max_calls = 3)]
fn three_times(fails: bool) -> Result<u32, u32> {
    let pid = std::process::id();
    if fails { Err(pid) } else { Ok(pid) }
}

#[remote]
fn process() -> u32 {
    std::process::id()
}

fn how_often(pids: impl IntoIterator<Item = u32>) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    for pid in pids {
        *counts.entry(pid).or_default() += 1;
    }
    counts
}

/// Those that were replaced are gone, and there are as many as there should be.
#[track_caller]
fn no_worker_is_leaked(rt: &Runtime, workers: usize, seen: impl IntoIterator<Item = u32>) {
    eventually("the pool is complete", || rt.worker_pids().len() == workers);
    let pool = rt.worker_pids();
    for pid in seen {
        let ends = || pool.contains(&pid) || !lives(pid);
        eventually("those that were replaced have ended", ends);
    }
}

#[mobula::test]
fn a_worker_is_replaced_after_so_many_calls_also_when_they_fail() {
    let rt = runtime(1);
    let calls = rt.spawn_all((0..12).map(|n| three_times::remote(n % 2 == 0)));
    let pids = calls.iter().map(|call| match call.get() {
        Ok(pid) => pid,
        Err(error) => error.application::<u32>().expect("its own error"),
    });
    let counts = how_often(pids);
    assert!(counts.values().all(|count| *count == 3), "{counts:?}");
    assert_eq!(counts.len(), 4);
    no_worker_is_leaked(&rt, 1, counts.into_keys());
}

#[mobula::test]
fn a_single_call_can_ask_for_it_and_others_do_not_count() {
    let rt = runtime(1);
    let before = rt.spawn(process::remote()).get().unwrap();
    for most in [3, 3, 1] {
        let pid = rt.spawn(process::remote().max_calls(most)).get().unwrap();
        assert_eq!(pid, before);
    }
    assert_ne!(rt.spawn(process::remote()).get().unwrap(), before);
}

#[remote(max_calls = 4)]
fn squares(n: u64) -> (u32, u64) {
    let square = product::remote(n, n).spawn();
    (std::process::id(), square.get().unwrap())
}

#[remote(max_calls = 7)]
fn product(a: u64, b: u64) -> u64 {
    a * b
}

#[mobula::test]
fn nothing_fails_under_load_while_workers_with_nested_tasks_are_replaced() {
    let rt = runtime(3);
    let first = rt.worker_pids();
    let outer = rt.spawn_all((0..120).map(squares::remote));
    let plain = rt.spawn_all((0..300).map(|n| product::remote(n, 2)));
    let squares = rt.get(&outer).unwrap();
    assert!(squares.iter().zip(0..).all(|((_, got), n)| *got == n * n));
    let products = rt.get(&plain).unwrap();
    assert!(products.iter().zip(0..).all(|(got, n)| *got == n * 2));
    drop((outer, plain));
    let counts = how_often(squares.into_iter().map(|(pid, _)| pid));
    assert!(counts.values().all(|count| *count <= 4), "{counts:?}");
    no_worker_is_leaked(&rt, 3, counts.into_keys().chain(first));
    nothing_is_left(&rt);
}

#[remote(max_calls = 1)]
fn recurses(depth: u32) -> Vec<u32> {
    let mut pids = match depth {
        0 => Vec::new(),
        _ => recurses::remote(depth - 1).spawn().get().unwrap(),
    };
    pids.push(std::process::id());
    pids
}

#[mobula::test]
fn a_task_that_waits_does_not_wait_for_its_own_worker_to_end() {
    let rt = runtime(1);
    let pids = rt.spawn(recurses::remote(10)).get().unwrap();
    assert_eq!(how_often(pids.iter().copied()).len(), 11);
    no_worker_is_leaked(&rt, 1, pids);
}

#[remote(max_calls = 1)]
fn makes(n: u64) -> (mobula::Array<u64>, ObjectRef<Vec<u64>>) {
    let kept = mobula::Runtime::current().unwrap();
    let kept = kept.put(&vec![n; 100_000]).unwrap();
    (vec![n; 100_000].into(), kept)
}

#[mobula::test]
fn what_a_worker_has_made_outlives_it() {
    let rt = runtime(1);
    let made = rt.get(&rt.spawn_all((0..6).map(makes::remote))).unwrap();
    let last = rt.spawn(process::remote()).get().unwrap();
    no_worker_is_leaked(&rt, 1, [last]);
    for ((array, kept), n) in made.iter().zip(0..) {
        assert!(array.iter().all(|value| *value == n));
        assert_eq!(kept.get().unwrap(), vec![n; 100_000]);
    }
    drop(made);
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_map_gives_each_worker_so_many_calls() {
    let rt = runtime(2);
    let pids = rt.map((0..20).map(|_| three_times::remote(false))).get();
    let counts = how_often(pids.unwrap());
    assert!(counts.values().all(|count| *count <= 3), "{counts:?}");
    assert!(counts.len() >= 7, "{counts:?}");
}

/// Counts the processes that have dropped their value.
struct Counts;

impl Drop for Counts {
    fn drop(&mut self) {
        mark(&std::env::var("MOBULA_TEST_DROPS").unwrap());
    }
}

#[worker_local]
static VALUE: Counts = Counts;

fn tear_down() {
    if let Ok(path) = std::env::var("MOBULA_TEST_TEAR_DOWNS") {
        mark(&path);
    }
}
mobula::worker_teardown!(tear_down);

#[remote(max_calls = 1)]
fn uses_its_value() {
    VALUE.with(|_| ());
}

#[mobula::test]
fn a_worker_that_is_replaced_drops_its_values_and_is_torn_down() {
    let (drops, tear_downs) = (Marks::new(), Marks::new());
    let rt = Runtime::builder()
        .workers(1)
        .worker_env("MOBULA_TEST_DROPS", drops.path())
        .worker_env("MOBULA_TEST_TEAR_DOWNS", tear_downs.path())
        .start()
        .unwrap();
    for _ in 0..3 {
        rt.spawn(uses_its_value::remote()).get().unwrap();
    }
    eventually("three have dropped their values", || drops.count() == 3);
    assert_eq!(tear_downs.count(), 3);
}

struct Counter(u32);

#[remote]
impl Counter {
    fn new() -> Self {
        Counter(0)
    }

    pub(crate) fn add(&mut self) -> (u32, u32) {
        self.0 += 1;
        (self.0, std::process::id())
    }
}

#[mobula::test]
fn an_actor_keeps_its_process() {
    let rt = runtime(1);
    let counter = rt.spawn_actor(Counter::remote());
    let pids: Vec<_> = (1..=5)
        .map(|n| {
            let (count, pid) = counter.add().spawn().get().unwrap();
            assert_eq!(count, n);
            rt.spawn(process::remote().max_calls(1)).get().unwrap();
            pid
        })
        .collect();
    assert!(pids.iter().all(|pid| *pid == pids[0]));
    let error = counter.add().max_calls(1).spawn().get().unwrap_err();
    assert!(error.is_usage(), "{error}");
    assert!(error.to_string().contains("`max_calls`"), "{error}");
}

#[remote]
fn leaks(bytes: usize) -> u32 {
    vec![1_u8; bytes].leak();
    std::process::id()
}

fn with_limit(bytes: u64) -> mobula::Result<Runtime> {
    Runtime::builder()
        .workers(1)
        .store_capacity(256 << 20)
        .max_worker_rss(bytes)
        .start()
}

#[mobula::test]
fn a_worker_that_has_grown_too_large_is_replaced() {
    let rt = with_limit(64 << 20).unwrap();
    let one_by_one: Vec<u32> = (0..20)
        .map(|_| rt.spawn(leaks::remote(8 << 20)).get().unwrap())
        .collect();
    let counts = how_often(one_by_one);
    assert!(counts.values().all(|count| *count <= 8), "{counts:?}");
    let together = rt.map((0..200).map(|_| leaks::remote(8 << 20))).get();
    no_worker_is_leaked(&rt, 1, counts.into_keys().chain(together.unwrap()));
    nothing_is_left(&rt);
}

#[remote]
fn sum(numbers: &[u64]) -> (u64, u32) {
    (numbers.iter().sum(), std::process::id())
}

#[remote]
fn ones(len: usize) -> Vec<u64> {
    vec![1; len]
}

#[mobula::test]
fn objects_of_the_store_do_not_count() {
    let rt = with_limit(48 << 20).unwrap();
    let before = rt.spawn(process::remote()).get().unwrap();
    let numbers = rt.put(&vec![1_u64; 8 << 20]).unwrap();
    let (total, pid) = rt.spawn(sum::remote(&numbers)).get().unwrap();
    assert_eq!((total, pid), (8 << 20, before));
    // The result is in a segment of the worker's.
    let made: Vec<_> = (0..8).map(|_| rt.spawn(ones::remote(1 << 20))).collect();
    rt.get(&made).unwrap();
    assert_eq!(rt.spawn(process::remote()).get().unwrap(), before);
}

fn set_up() {
    if std::env::var_os("MOBULA_TEST_LARGE").is_some() {
        vec![1_u8; 32 << 20].leak();
    }
}
mobula::worker_setup!(set_up);

#[mobula::test]
fn a_limit_that_no_worker_keeps_is_an_error_of_the_start() {
    let large = Runtime::builder().worker_env("MOBULA_TEST_LARGE", "1");
    let error = large.max_worker_rss(16 << 20).start().unwrap_err();
    assert!(error.to_string().contains("`max_worker_rss`"), "{error}");
    let error = with_limit(1000).unwrap_err();
    assert!(error.is_usage(), "{error}");
}

/// Keeps what it was given.
struct Hoard(Vec<Vec<u8>>);

#[remote]
impl Hoard {
    fn new() -> Self {
        Hoard(Vec::new())
    }

    pub(crate) fn grow(&mut self, bytes: usize) -> (usize, u32) {
        self.0.push(vec![1; bytes]);
        (self.0.len(), std::process::id())
    }
}

#[mobula::test]
fn an_actor_that_grows_keeps_its_process() {
    let rt = with_limit(48 << 20).unwrap();
    let hoard = rt.spawn_actor(Hoard::remote());
    let grown: Vec<_> = (0..4)
        .map(|_| hoard.grow(32 << 20).spawn().get().unwrap())
        .collect();
    let pid = grown[0].1;
    assert_eq!(grown, [(1, pid), (2, pid), (3, pid), (4, pid)]);
}
