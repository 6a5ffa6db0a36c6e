//! Functions and methods that return errors, and are run again for it.

use std::time::Duration;

use mobula::prelude::*;
use serde::{Deserialize, Serialize};

use crate::support::{Marks, mark, nothing_is_left, runtime};

/// For what only a hang explains.
const LONG: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Trouble {
    Busy(u64),
    Broken,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Trouble {}

fn is_busy(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Busy(_))
}

/// Says which run it is, after so many failures.
#[remote]
fn busy_at_first(path: &str, failures: u64) -> Result<u64, Trouble> {
    match mark(path) {
        run if run <= failures => Err(Trouble::Busy(run)),
        run => Ok(run),
    }
}

#[remote(retries = 9, retry_errors = is_busy)]
fn busy_then_broken(path: &str, busy: u64) -> Result<(), Trouble> {
    match mark(path) {
        run if run <= busy => Err(Trouble::Busy(run)),
        _ => Err(Trouble::Broken),
    }
}

#[remote(retries = 2, retry_errors)]
async fn asynchronously(path: &str) -> Result<u64, Trouble> {
    tokio::task::yield_now().await;
    match mark(path) {
        3 => Ok(3),
        run => Err(Trouble::Busy(run)),
    }
}

#[remote(retries = 5, retry_errors)]
fn panics(path: &str) -> Result<(), Trouble> {
    panic!("run {}", mark(path));
}

/// Fails in one way and the other.
#[remote(retry_errors)]
fn errs_and_crashes(path: &str) -> Result<(), Trouble> {
    match mark(path) {
        run if run.is_multiple_of(3) => std::process::abort(),
        run => Err(Trouble::Busy(run)),
    }
}

#[remote]
fn has_it_fetched(path: &str, retries: u32) -> mobula::Result<u64> {
    let call = busy_at_first::remote(path, 3).retries(retries);
    call.retry_errors(true).spawn().get()
}

#[remote(retries = 1, retry_errors)]
fn fills(part: &mut [u64], path: &str) -> Result<(), Trouble> {
    part[0] += 1;
    match mark(path) {
        1 => Err(Trouble::Busy(1)),
        _ => {
            part.fill(7);
            Ok(())
        }
    }
}

#[remote]
fn takes_what_it_needs(numbers: Vec<f64>, text: String, path: &str) -> Result<usize, String> {
    let length = numbers.len() + text.len();
    drop((numbers, text));
    match mark(path) {
        1 => Err("once more".to_owned()),
        _ => Ok(length),
    }
}

#[mobula::test]
fn a_function_that_returns_errors_runs_once_and_again_as_often_as_was_asked() {
    let rt = runtime(2);
    for retries in 0..5 {
        let runs = Marks::new();
        let call = busy_at_first::remote(runs.path(), 99).retries(retries);
        let error = rt.spawn(call.retry_errors(true)).get().unwrap_err();
        let last = u64::from(retries) + 1;
        assert_eq!(runs.count(), last);
        // The error is that of the last run.
        assert_eq!(error.application(), Some(Trouble::Busy(last)));
    }
    let runs = Marks::new();
    let call = busy_at_first::remote(runs.path(), 2).retries(9);
    assert_eq!(rt.spawn(call.retry_errors(true)).get().unwrap(), 3);
    assert_eq!(runs.count(), 3);
    let runs = Marks::new();
    let call = asynchronously::remote(runs.path());
    assert_eq!(rt.spawn(call).get().unwrap(), 3);
    nothing_is_left(&rt);
}

#[mobula::test]
fn only_the_errors_that_the_function_names_are_retried() {
    let rt = runtime(1);
    let runs = Marks::new();
    let error = rt.spawn(busy_then_broken::remote(runs.path(), 2));
    assert_eq!(
        error.get().unwrap_err().application(),
        Some(Trouble::Broken)
    );
    assert_eq!(runs.count(), 3);

    let runs = Marks::new();
    let call = busy_then_broken::remote(runs.path(), 2).retry_errors(false);
    assert_eq!(
        rt.spawn(call).get().unwrap_err().application(),
        Some(Trouble::Busy(1))
    );
    assert_eq!(runs.count(), 1);

    let runs = Marks::new();
    let error = rt.spawn(panics::remote(runs.path())).get().unwrap_err();
    assert!(error.is_panic(), "{error:?}");
    assert_eq!(runs.count(), 1);
}

#[mobula::test]
fn errors_and_crashes_use_up_the_same_retries() {
    let rt = runtime(1);
    for retries in 0..7 {
        let runs = Marks::new();
        let call = errs_and_crashes::remote(runs.path()).retries(retries);
        let error = rt.spawn(call).get_timeout(LONG).unwrap_err();
        let last = u64::from(retries) + 1;
        assert_eq!(runs.count(), last, "{error:?}");
        assert_eq!(error.is_crash(), last % 3 == 0, "{error:?}");
    }
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_task_that_a_task_spawned_is_run_again_as_well() {
    let rt = runtime(1);
    let runs = Marks::new();
    let result = rt.spawn(has_it_fetched::remote(runs.path(), 3));
    assert_eq!(result.get_timeout(LONG).unwrap(), 4);
    let runs = Marks::new();
    let result = rt.spawn(has_it_fetched::remote(runs.path(), 2));
    assert!(result.get_timeout(LONG).unwrap_err().is_application());
    assert_eq!(runs.count(), 3);
}

#[mobula::test]
fn the_next_run_gets_all_arguments_once_more() {
    let rt = runtime(1);
    let runs = Marks::new();
    let numbers = rt.put(&vec![1.0; 100_000]).unwrap();
    let call = takes_what_it_needs::remote(&numbers, "x".repeat(100_000), runs.path());
    let result = rt.spawn(call.retries(1).retry_errors(true));
    assert_eq!(result.get().unwrap(), 200_000);
    drop((numbers, result));
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_part_stays_with_its_call_while_that_is_run_again() {
    let rt = runtime(2);
    let array = rt.shared_array(8, 0_u64).unwrap();
    let parts = array.chunks_mut(4).unwrap();
    let runs: Vec<_> = parts.iter().map(|_| Marks::new()).collect();
    let calls = parts.into_iter().zip(&runs);
    let calls = calls.map(|(part, runs)| fills::remote(part, runs.path()));
    let done = rt.spawn_all(calls);
    rt.get(&done).unwrap();
    assert!(array.settle().unwrap().is_empty());
    assert_eq!(array.with(|all| all.to_vec()).unwrap(), [7; 8]);
    assert!(runs.iter().all(|runs| runs.count() == 2));
}

#[mobula::test]
fn each_call_of_a_map_has_its_own_retries() {
    let rt = runtime(2);
    let runs: Vec<_> = (0..50).map(|_| Marks::new()).collect();
    let failures = |n: usize| n as u64 % 4;
    let calls = runs.iter().enumerate().map(|(n, runs)| {
        let call = busy_at_first::remote(runs.path(), failures(n)).retries(2);
        call.retry_errors(true)
    });
    let results: Vec<_> = rt.map(calls).iter().collect();
    assert_eq!(results.len(), runs.len());
    for (n, (result, runs)) in results.into_iter().zip(&runs).enumerate() {
        match failures(n) {
            3 => assert_eq!(result.unwrap_err().application(), Some(Trouble::Busy(3))),
            failures => assert_eq!(result.unwrap(), failures + 1),
        }
        assert_eq!(runs.count(), failures(n).min(2) + 1);
    }
}

/// An actor that keeps a list of what was done.
struct Diary {
    entries: Vec<String>,
}

#[remote(max_call_retries = 3, max_restarts = 9)]
impl Diary {
    fn new() -> Self {
        Diary {
            entries: Vec::new(),
        }
    }

    fn note(&mut self, what: &str) {
        self.entries.push(what.to_owned());
    }

    #[remote(retry_errors = is_busy)]
    fn try_to_note(&mut self, what: &str, path: &str, failures: u64) -> Result<u64, Trouble> {
        self.entries.push(what.to_owned());
        match mark(path) {
            run if run <= failures => Err(Trouble::Busy(run)),
            90 => Err(Trouble::Broken),
            run => Ok(run),
        }
    }

    #[remote(retry_errors)]
    fn errs_and_exits(&self, path: &str) -> Result<(), Trouble> {
        match mark(path) {
            run if run.is_multiple_of(2) => std::process::abort(),
            run => Err(Trouble::Busy(run)),
        }
    }

    fn entries(&self) -> Vec<String> {
        self.entries.clone()
    }
}

#[mobula::test]
fn a_method_that_returns_errors_runs_as_often_again_as_its_actor_says() {
    let rt = runtime(1);
    let diary = rt.spawn_actor(Diary::remote());
    let runs = Marks::new();
    let call = diary.try_to_note("x", runs.path(), 99);
    let error = call.spawn().get_timeout(LONG).unwrap_err();
    assert_eq!(error.application(), Some(Trouble::Busy(4)));
    assert_eq!(runs.count(), 4);
    assert!(!error.is_actor_dead());

    let runs = Marks::new();
    let call = diary.try_to_note("x", runs.path(), 99).retries(1);
    assert!(call.spawn().get_timeout(LONG).is_err());
    assert_eq!(runs.count(), 2);
    assert_eq!(diary.entries().spawn().get().unwrap().len(), 6);
}

#[mobula::test]
fn a_method_that_errs_and_crashes_runs_no_more_often_than_that() {
    let rt = runtime(1);
    for retries in 0..5 {
        let diary = rt.spawn_actor(Diary::remote());
        let runs = Marks::new();
        let call = diary.errs_and_exits(runs.path()).retries(retries);
        assert!(call.spawn().get_timeout(LONG).is_err());
        assert_eq!(runs.count(), u64::from(retries) + 1);
    }
}

#[mobula::test]
fn calls_that_were_made_later_come_after_the_further_runs() {
    let rt = runtime(1);
    let diary = rt.spawn_actor(Diary::remote());
    let runs = Marks::new();
    diary.note("first").spawn().detach();
    let tried = diary.try_to_note("tried", runs.path(), 3).spawn();
    diary.note("later").spawn().detach();
    assert_eq!(tried.get_timeout(LONG).unwrap(), 4);
    assert_eq!(
        diary.entries().spawn().get().unwrap(),
        ["first", "tried", "tried", "tried", "tried", "later"]
    );
}

/// Writes zeros over the memory that this worker shares with the driver for messages and state
/// words, and dies.
#[remote]
fn wipes_its_mailbox_and_aborts(path: &str) {
    mark(path);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    for line in maps.lines().filter(|line| line.contains(" rw-s")) {
        let range = line.split_whitespace().next().unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|hex| usize::from_str_radix(hex, 16).unwrap());
        // The mailbox; the driver's doorbell is shorter, and a segment longer.
        if (8193..1 << 20).contains(&(to - from)) {
            let start = std::ptr::with_exposed_provenance_mut::<u8>(from);
            // SAFETY: there is none. The process ends before any other code relies on these bytes.
            unsafe { start.write_bytes(0, to - from) };
        }
    }
    std::process::abort();
}

#[remote]
fn one_more(number: u64) -> u64 {
    number + 1
}

#[mobula::test]
fn a_task_that_wipes_its_workers_mailbox_and_dies_is_a_crash() {
    let rt = runtime(2);
    let marks = Marks::new();
    let task = rt.spawn(wipes_its_mailbox_and_aborts::remote(marks.path()));
    let error = task.get_timeout(LONG).unwrap_err();
    assert!(error.is_crash(), "{error:?}");
    assert!(error.to_string().contains("3 workers that died"), "{error}");
    assert_eq!(marks.count(), 3);
    let next = rt.spawn(one_more::remote(1));
    assert_eq!(next.get_timeout(LONG).unwrap(), 2);
    drop((task, next));
    nothing_is_left(&rt);
}

#[mobula::test]
fn how_many_workers_a_task_may_take_along_can_be_chosen() {
    let rt = Runtime::builder()
        .workers(1)
        .store_capacity(64 << 20)
        .max_worker_deaths(1)
        .start()
        .unwrap();
    let marks = Marks::new();
    let task = rt.spawn(wipes_its_mailbox_and_aborts::remote(marks.path()));
    assert!(task.get_timeout(LONG).unwrap_err().is_crash());
    assert_eq!(marks.count(), 1);
}
