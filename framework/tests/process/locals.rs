//! Worker-local values, and their end with the worker.

use std::time::Duration;

use mobula::{prelude::*, worker_local};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    programs::Program,
    support::{Marks, eventually, lives, mark, runtime},
};

const CASE: &str = "MOBULA_TEST_CASE";

fn case(name: &str) -> bool {
    std::env::var(CASE).as_deref() == Ok(name)
}

/// Says that it ends, in programs of these tests.
struct Says(&'static str);

impl Drop for Says {
    fn drop(&mut self) {
        println!("the end of {}", self.0);
    }
}

#[worker_local]
static FIRST: Says = Says("the first");

#[worker_local]
static SECOND: Says = Says("the second");

#[remote]
fn makes_both() -> u32 {
    FIRST.with(|_| ());
    SECOND.with(|_| ());
    std::process::id()
}

#[remote]
fn makes_none() {}

fn tear_down_panics() {
    assert!(!case("tear-down panics"), "the licence server is gone");
}
mobula::worker_teardown!(tear_down_panics);

#[remote]
fn three() -> u32 {
    3
}

fn tear_down() {
    if case("tear-down prints") || case("tear-down panics") || case("inline") {
        println!("tear-down");
    }
    if case("tear-down spawns") {
        let error = three::remote().spawn().get().unwrap_err();
        println!("shut down: {}", error.is_shutdown());
    }
}
mobula::worker_teardown!(tear_down);

#[mobula::test]
#[ignore = "a program of other tests"]
fn program() {
    let Ok(case) = std::env::var(CASE) else {
        return;
    };
    let engine = match case.as_str() {
        "inline" => mobula::EngineKind::inline(),
        _ => mobula::EngineKind::processes(),
    };
    let rounds = if case == "inline" { 2 } else { 1 };
    for _ in 0..rounds {
        let rt = Runtime::builder().engine(engine.clone()).workers(1);
        let rt = rt.start().unwrap();
        match case.as_str() {
            "nothing is made" => rt.spawn(makes_none::remote()).get().unwrap(),
            "a worker is killed" => {
                let pid = rt.spawn(makes_both::remote()).get().unwrap();
                kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
                eventually("the worker is dead", || !lives(pid));
            }
            _ => drop(rt.spawn(makes_both::remote()).get().unwrap()),
        }
        println!("the runtime ends");
    }
    println!("as expected");
}

/// Runs the program; what it and its workers have said.
#[track_caller]
fn run(case: &str) -> String {
    let mut command = Program::command("locals::program", case);
    // To find the names of a backtrace's functions takes longer than an end may.
    let output = command.env("RUST_BACKTRACE", "0").output().unwrap();
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(
        output.status.success() && text.contains("as expected"),
        "{text}"
    );
    text
}

#[track_caller]
fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else {
            panic!("`{part}` is not in its place: {text}");
        };
        rest = behind;
    }
}

#[test]
fn a_worker_ends_with_its_tear_down_and_then_its_values_the_latest_first() {
    let text = run("tear-down prints");
    let parts = [
        "the runtime ends",
        "tear-down",
        "the end of the second",
        "the end of the first",
        "as expected",
    ];
    in_order(&text, &parts);
    for part in parts {
        assert_eq!(text.matches(part).count(), 1, "{text}");
    }
}

#[test]
fn a_value_that_was_not_used_is_neither_made_nor_dropped() {
    let text = run("nothing is made");
    assert!(!text.contains("the end of"), "{text}");
}

#[test]
fn a_worker_that_is_killed_drops_nothing() {
    let text = run("a worker is killed");
    assert!(!text.contains("the end of"), "{text}");
}

#[test]
fn a_tear_down_that_panics_is_said_and_the_others_are_called() {
    let text = run("tear-down panics");
    assert!(text.contains("the licence server is gone"), "{text}");
    assert!(text.contains("tear-down function of the workers"), "{text}");
    in_order(
        &text,
        &[
            "tear-down\n",
            "the end of the second",
            "the end of the first",
        ],
    );
}

#[test]
fn a_tear_down_that_spawns_is_told_that_the_runtime_ends() {
    let text = run("tear-down spawns");
    in_order(&text, &["shut down: true", "the end of the first"]);
}

#[test]
fn an_inline_runtime_drops_the_values_each_time_and_tears_down_once() {
    let text = run("inline");
    let said = |part: &str| text.matches(part).count();
    assert_eq!(said("tear-down"), 1, "{text}");
    assert_eq!(said("the end of the second"), 2, "{text}");
    assert_eq!(said("the end of the first"), 2, "{text}");
}

/// How often it was made, in all workers.
#[worker_local]
static MODEL: u64 = mark(&std::env::var("MOBULA_TEST_MODEL").unwrap());

#[remote]
fn evaluate(n: u64) -> u64 {
    MODEL.with(|_| n * n)
}

#[mobula::test]
fn what_is_expensive_is_made_once_in_each_worker() {
    let loads = Marks::new();
    let rt = Runtime::builder()
        .workers(2)
        .worker_env("MOBULA_TEST_MODEL", loads.path())
        .start()
        .unwrap();
    assert_eq!(loads.count(), 0);
    let values = rt.map((0..1000).map(evaluate::remote)).get().unwrap();
    assert!(values.iter().zip(0..).all(|(value, n)| *value == n * n));
    assert!((1..=2).contains(&loads.count()), "{}", loads.count());
}

/// Not `Sync`.
#[worker_local]
static SUM: std::cell::Cell<u64> = std::cell::Cell::new(0);

/// Keeps the value while it waits.
#[remote]
fn adds_from_a_queue(queue: &mobula::Queue<u64>, begun: &str) -> u64 {
    SUM.with(|sum| {
        mark(begun);
        sum.set(sum.get() + queue.get().unwrap());
        sum.get()
    })
}

#[remote]
fn adds(n: u64, begun: &str) -> u64 {
    mark(begun);
    SUM.with(|sum| {
        sum.set(sum.get() + n);
        sum.get()
    })
}

#[remote]
fn comes_late(n: u64, begun: &str) -> u64 {
    eventually("both have begun", || {
        std::fs::metadata(begun).unwrap().len() >= 2
    });
    n
}

#[mobula::test]
fn a_task_waits_for_the_value_while_others_of_its_worker_go_on() {
    let begun = Marks::new();
    let rt = runtime(1);
    // The first one has the value and waits. The second one waits for the value. Both have given
    // their turns up, or the third one could not run.
    let queue = rt.queue::<u64>(1).unwrap();
    let first = rt.spawn(adds_from_a_queue::remote(&queue, begun.path()));
    eventually("the first has the value", || begun.count() == 1);
    let second = rt.spawn(adds::remote(10, begun.path()));
    eventually("the second has begun", || begun.count() == 2);
    let third = rt.spawn(comes_late::remote(5, begun.path()));
    let limit = Duration::from_secs(60);
    assert_eq!(third.get_timeout(limit).unwrap(), 5);
    assert!(!second.is_ready());
    queue.put(&1).unwrap();
    assert_eq!(first.get_timeout(limit).unwrap(), 1);
    assert_eq!(second.get_timeout(limit).unwrap(), 11);
}

struct MarkAtEnd<'a>(&'a str);

impl Drop for MarkAtEnd<'_> {
    fn drop(&mut self) {
        mark(self.0);
    }
}

#[remote]
fn adds_and_marks_its_end(n: u64, path: &str) {
    let _end = MarkAtEnd(path);
    mark(path);
    SUM.with(|sum| sum.set(sum.get() + n));
}

#[mobula::test]
fn a_task_that_waits_for_the_value_can_be_cancelled() {
    let begun = Marks::new();
    let rt = runtime(1);
    let queue = rt.queue::<u64>(1).unwrap();
    let first = rt.spawn(adds_from_a_queue::remote(&queue, begun.path()));
    eventually("the first has the value", || begun.count() == 1);
    let second = rt.spawn(adds_and_marks_its_end::remote(10, begun.path()));
    eventually("the second has begun", || begun.count() == 2);
    second.cancel();
    let limit = Duration::from_secs(60);
    assert!(second.get_timeout(limit).unwrap_err().is_cancelled());
    eventually("the second has ended", || begun.count() == 3);
    queue.put(&1).unwrap();
    // The worker lives, and the value with it.
    assert_eq!(first.get_timeout(limit).unwrap(), 1);
    let third = rt.spawn(adds::remote(100, begun.path()));
    assert_eq!(third.get_timeout(limit).unwrap(), 101);
}
