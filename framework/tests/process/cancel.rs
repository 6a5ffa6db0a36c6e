//! Tasks that are cancelled, and tasks that pass their limits of time.

pub(crate) mod locks;

use std::time::Duration;

use mobula::{CancelOptions, prelude::*};
use serde::{Deserialize, Deserializer, Serialize};

use crate::support::{Marks, eventually, mark, nothing_is_left, runtime};

/// For what only a hang explains.
const LONG: Duration = Duration::from_secs(60);

#[remote]
fn plus_one(n: u64) -> u64 {
    n + 1
}

#[remote]
fn pid() -> u32 {
    std::process::id()
}

#[remote]
fn mark_and_sleep(path: &str, sleep: Duration) {
    mark(path);
    std::thread::sleep(sleep);
}

/// Never looks whether it is wanted.
#[remote]
fn spins(path: &str) {
    mark(path);
    loop {
        std::hint::spin_loop();
    }
}

/// Ends when the task is cancelled.
#[remote]
fn looks(path: &str) -> Result<(), mobula::Error> {
    mark(path);
    loop {
        if let Err(error) = mobula::check_cancelled() {
            assert!(error.is_cancelled() && mobula::is_cancelled());
            mark(path);
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

struct MarkAtEnd<'a>(&'a str);

impl Drop for MarkAtEnd<'_> {
    fn drop(&mut self) {
        mark(self.0);
    }
}

#[remote]
async fn sleeps(path: &str) {
    mark(path);
    let _end = MarkAtEnd(path);
    tokio::time::sleep(LONG).await;
}

#[remote]
fn waits_for_child(path: &str) -> Result<(), mobula::Error> {
    let _end = MarkAtEnd(path);
    looks::remote(path).spawn().get()
}

#[remote]
fn waits_for(path: &str, other: ObjectRef<()>) -> Result<(), mobula::Error> {
    let _end = MarkAtEnd(path);
    mark(path);
    other.get()
}

#[remote]
fn cancels(other: ObjectRef<()>) {
    other.cancel();
}

fn marks(marks: &Marks, count: u64) {
    eventually("the marks are there", || marks.count() >= count);
    assert_eq!(marks.count(), count);
}

#[mobula::test]
fn a_function_that_looks_ends_and_its_worker_goes_on() {
    let rt = runtime(1);
    let worker = rt.spawn(pid::remote()).get().unwrap();
    let ended = Marks::new();
    let task = rt.spawn(looks::remote(ended.path()));
    marks(&ended, 1);
    task.cancel();
    let error = task.get_timeout(LONG).unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    assert_eq!(error.to_string(), "`looks` was cancelled");
    marks(&ended, 2);
    assert_eq!(rt.spawn(pid::remote()).get().unwrap(), worker);
    drop(task);
    nothing_is_left(&rt);
}

#[mobula::test]
fn endless_loops_on_all_workers_are_killed_and_the_pool_goes_on() {
    let rt = runtime(2);
    let begun = Marks::new();
    let calls = (0..2).map(|_| spins::remote(begun.path()));
    let loops: Vec<_> = rt.spawn_all(calls);
    let after = rt.spawn(plus_one::remote(1));
    marks(&begun, 2);
    loops.cancel_with(CancelOptions::new().grace(Duration::from_millis(20)));
    assert!(
        loops
            .iter()
            .all(|task| task.get().unwrap_err().is_cancelled())
    );
    assert_eq!(after.get_timeout(LONG).unwrap(), 2);
    drop((loops, after));
    nothing_is_left(&rt);
}

#[mobula::test]
fn without_a_kill_a_function_that_does_not_look_keeps_its_worker() {
    let rt = runtime(1);
    let begun = Marks::new();
    let sleeps = rt.spawn(mark_and_sleep::remote(
        begun.path(),
        Duration::from_millis(300),
    ));
    let worker = rt.worker_pids();
    marks(&begun, 1);
    let options = CancelOptions::new().kill(false).grace(Duration::ZERO);
    sleeps.cancel_with(options);
    assert!(sleeps.get().unwrap_err().is_cancelled());
    assert_eq!(
        [rt.spawn(pid::remote()).get_timeout(LONG).unwrap()],
        *worker
    );
}

#[mobula::test]
fn an_asynchronous_function_is_dropped_where_it_waits() {
    let rt = runtime(1);
    let worker = rt.spawn(pid::remote()).get().unwrap();
    let ended = Marks::new();
    let task = rt.spawn(sleeps::remote(ended.path()));
    marks(&ended, 1);
    task.cancel();
    assert!(task.get_timeout(LONG).unwrap_err().is_cancelled());
    marks(&ended, 2);
    assert_eq!(rt.spawn(pid::remote()).get_timeout(LONG).unwrap(), worker);
}

#[mobula::test]
fn a_function_that_waits_for_an_object_unwinds() {
    let rt = runtime(2);
    let (ended, never) = (Marks::new(), Marks::new());
    let other = rt.spawn(sleeps::remote(never.path()));
    marks(&never, 1);
    let task = rt.spawn(waits_for::remote(ended.path(), other.clone()));
    marks(&ended, 1);
    // The other one is not its child.
    task.cancel();
    marks(&ended, 2);
    assert!(!other.is_ready());
    other.cancel();
    marks(&never, 2);
}

#[mobula::test]
fn calls_that_a_task_has_made_go_with_it() {
    let rt = runtime(2);
    let ended = Marks::new();
    let task = rt.spawn(waits_for_child::remote(ended.path()));
    marks(&ended, 1);
    task.cancel();
    assert!(task.get_timeout(LONG).unwrap_err().is_cancelled());
    // The end of the child and that of the parent.
    marks(&ended, 3);
    drop(task);
    nothing_is_left(&rt);
}

#[mobula::test]
fn whoever_holds_a_ref_can_cancel() {
    let rt = runtime(2);
    let ended = Marks::new();
    let task = rt.spawn(looks::remote(ended.path()));
    marks(&ended, 1);
    rt.spawn(cancels::remote(task.clone())).get().unwrap();
    assert!(task.get_timeout(LONG).unwrap_err().is_cancelled());
    marks(&ended, 2);
}

#[mobula::test]
fn dropping_a_guard_stops_the_rest_of_a_sweep() {
    let rt = runtime(1);
    let begun = Marks::new();
    let sleep = Duration::from_millis(50);
    let calls = (0..110).map(|_| mark_and_sleep::remote(begun.path(), sleep));
    let all = rt.spawn_all(calls).cancel_on_drop();
    all[0].get().unwrap();
    drop(all);
    assert_eq!(rt.spawn(plus_one::remote(1)).get().unwrap(), 2);
    assert!(begun.count() < 50, "{} of 110 have begun", begun.count());
    nothing_is_left(&rt);
    // The guard can be given up, too.
    let kept = rt.spawn(plus_one::remote(1)).cancel_on_drop().into_inner();
    assert_eq!(kept.get().unwrap(), 2);
}

#[mobula::test]
fn leaving_a_map_stops_the_rest_of_it() {
    let rt = runtime(2);
    let begun = Marks::new();
    let sleep = Duration::from_millis(20);
    let calls = (0..1000).map(|_| mark_and_sleep::remote(begun.path(), sleep));
    for (place, result) in rt.map(calls).iter().enumerate() {
        result.unwrap();
        if place == 3 {
            break;
        }
    }
    assert_eq!(rt.spawn(plus_one::remote(1)).get().unwrap(), 2);
    assert!(begun.count() < 200, "{} of 1000 have begun", begun.count());
    nothing_is_left(&rt);
}

#[mobula::test]
async fn the_loser_of_a_race_is_cancelled() -> mobula::Result<()> {
    let rt = runtime(2);
    let ended = Marks::new();
    let slow = rt.spawn(sleeps::remote(ended.path())).cancel_on_drop();
    marks(&ended, 1);
    let quick = rt.spawn(plus_one::remote(1)).cancel_on_drop();
    tokio::select! {
        result = slow => unreachable!("{result:?} of a function that sleeps"),
        result = quick => assert_eq!(result?, 2),
    }
    marks(&ended, 2);
    Ok(())
}

/// Takes long to be decoded: until there are two marks.
#[derive(Serialize)]
struct SlowToDecode(String);

impl<'de> Deserialize<'de> for SlowToDecode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = String::deserialize(deserializer)?;
        mark(&path);
        while std::fs::metadata(&path).unwrap().len() < 2 {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(SlowToDecode(path))
    }
}

#[remote]
fn takes(slow: SlowToDecode) {
    mark(&slow.0);
}

#[mobula::test]
fn a_task_that_is_cancelled_while_its_arguments_are_decoded_does_not_begin() {
    let rt = runtime(1);
    let seen = Marks::new();
    let task = rt.spawn(takes::remote(SlowToDecode(seen.path().to_owned())));
    marks(&seen, 1);
    task.cancel();
    assert!(task.get().unwrap_err().is_cancelled());
    // The worker hears of it before its next task.
    std::thread::sleep(Duration::from_millis(100));
    mark(seen.path());
    assert_eq!(rt.spawn(plus_one::remote(1)).get_timeout(LONG).unwrap(), 2);
    assert_eq!(seen.count(), 2);
}

struct Counter(u64);

#[remote]
impl Counter {
    fn new() -> Counter {
        Counter(0)
    }

    fn add(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }

    fn add_slowly(&mut self, path: &str) -> u64 {
        mark(path);
        std::thread::sleep(Duration::from_millis(200));
        self.add()
    }

    async fn forever(&mut self, path: &str) {
        mark(path);
        let _end = MarkAtEnd(path);
        tokio::time::sleep(LONG).await;
    }
}

#[mobula::test]
fn a_call_of_an_actor_is_cancelled_and_the_actor_lives() {
    let rt = runtime(1);
    let counter = rt.spawn_actor(Counter::remote());
    let ended = Marks::new();
    let call = counter.forever(ended.path()).spawn();
    marks(&ended, 1);
    let behind = counter.add().spawn();
    let later = counter.add().spawn();
    later.cancel();
    call.cancel();
    marks(&ended, 2);
    assert_eq!(behind.get_timeout(LONG).unwrap(), 1);
    assert!(later.get().unwrap_err().is_cancelled());
    // A method that does not look runs to its end: no kill ends an actor.
    let slow = counter.add_slowly(ended.path()).spawn();
    marks(&ended, 3);
    slow.cancel_with(CancelOptions::new().grace(Duration::ZERO));
    assert!(slow.get().unwrap_err().is_cancelled());
    assert_eq!(counter.add().spawn().get_timeout(LONG).unwrap(), 3);
}

#[mobula::test]
fn an_endless_loop_ends_at_its_time_limit() {
    let rt = runtime(1);
    let begun = Marks::new();
    let call = || {
        spins::remote(begun.path())
            .timeout(Duration::from_millis(30))
            .grace(Duration::from_millis(10))
    };
    let error = rt.spawn(call()).get_timeout(LONG).unwrap_err();
    assert!(error.is_task_timeout() && !error.is_timeout(), "{error}");
    assert_eq!(
        error.to_string(),
        "`spins` ran for longer than 30ms, which is its `timeout`"
    );
    assert_eq!(rt.spawn(plus_one::remote(1)).get_timeout(LONG).unwrap(), 2);
    // A further run, and no more.
    let retried = call().retry_timeouts(true).retries(1);
    let error = rt.spawn(retried).get_timeout(LONG).unwrap_err();
    assert!(error.is_task_timeout(), "{error}");
    marks(&begun, 3);
}

#[remote(timeout = Duration::from_millis(20), grace = Duration::from_millis(5))]
fn has_a_limit(loops: bool) -> u32 {
    if loops {
        loop {
            std::hint::spin_loop();
        }
    }
    7
}

#[mobula::test]
fn a_function_has_a_limit_of_its_own_and_a_call_may_have_another() {
    let rt = runtime(1);
    assert_eq!(rt.spawn(has_a_limit::remote(false)).get().unwrap(), 7);
    let error = rt.spawn(has_a_limit::remote(true)).get_timeout(LONG);
    assert!(error.unwrap_err().is_task_timeout());
    let zero = has_a_limit::remote(false).timeout(Duration::ZERO);
    let error = rt.spawn(zero).get().unwrap_err();
    assert!(
        error.is_usage()
            && error
                .to_string()
                .contains("`timeout` of a call of `has_a_limit`")
    );
    // In a map each call has its own.
    let calls = (0..4).map(|n| has_a_limit::remote(n == 2));
    let results: Vec<_> = rt.map(calls).iter().collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3);
    assert!(results[2].as_ref().unwrap_err().is_task_timeout());
}

#[mobula::test]
fn a_deadline_holds_for_what_waits_too() {
    let rt = runtime(1);
    let begun = Marks::new();
    let busy = rt
        .spawn(mark_and_sleep::remote(begun.path(), LONG))
        .cancel_on_drop();
    let late = rt.spawn(plus_one::remote(1).deadline(Duration::from_millis(50)));
    let error = late.get_timeout(LONG).unwrap_err();
    assert!(error.is_task_timeout(), "{error}");
    assert!(!busy.is_ready());
}

#[mobula::test]
fn an_input_that_was_cancelled_is_named_by_what_needs_it() {
    let rt = runtime(1);
    let begun = Marks::new();
    let busy = rt.spawn(looks::remote(begun.path()));
    let first = rt.spawn(plus_one::remote(1));
    let second = rt.spawn(plus_one::remote(&first));
    first.cancel();
    let error = second.get_timeout(LONG).unwrap_err();
    assert!(error.is_cancelled() && error.is_dependency(), "{error}");
    assert_eq!(error.root().to_string(), "`plus_one` was cancelled");
    busy.cancel();
}

#[mobula::test]
fn tasks_that_are_cancelled_at_any_moment_leave_a_value_or_an_error_for_each() {
    let rt = runtime(2);
    let refs = rt.spawn_all((0..5_000).map(plus_one::remote));
    let dependents = rt.spawn_all(refs.iter().map(plus_one::remote));
    for (n, object) in refs.iter().enumerate() {
        // Some have ended, some run, most wait.
        if n % 20 == 7 {
            object.cancel();
        }
    }
    let mut cancelled = 0;
    for (n, (object, dependent)) in refs.iter().zip(&dependents).enumerate() {
        let (own, after) = (object.get_timeout(LONG), dependent.get_timeout(LONG));
        match own {
            Ok(value) => {
                assert_eq!((value, after.unwrap()), (n as u64 + 1, n as u64 + 2));
            }
            Err(error) => {
                assert!(error.is_cancelled() && n % 20 == 7, "{n}: {error}");
                assert!(after.unwrap_err().is_cancelled());
                cancelled += 1;
            }
        }
    }
    assert!(cancelled <= 250, "{cancelled}");
    drop((refs, dependents));
    nothing_is_left(&rt);
}

#[mobula::test]
fn all_that_is_queued_behind_running_tasks_is_cancelled_again_and_again() {
    let rt = runtime(2);
    for _ in 0..10 {
        let begun = Marks::new();
        let held = rt.spawn_all((0..2).map(|_| looks::remote(begun.path())));
        marks(&begun, 2);
        let refs = rt.spawn_all((0..1_000).map(plus_one::remote));
        refs.cancel();
        assert_eq!(refs.iter().filter(|task| task.get().is_ok()).count(), 0);
        held.cancel();
        marks(&begun, 4);
    }
}
