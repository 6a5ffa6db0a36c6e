//! The contexts of tasks in real workers, and results that are waited for in part.

use std::time::Duration;

use mobula::prelude::*;

use crate::support::{Marks, mark, runtime};

const LONG: Duration = Duration::from_secs(60);

#[remote(retries = 2)]
fn dies_twice(path: &str) -> (u32, Option<u32>) {
    if mark(path) < 3 {
        std::process::abort();
    }
    (mobula::context().attempt(), mobula::context().worker())
}

#[mobula::test]
fn a_task_knows_in_which_attempt_and_worker_it_runs() {
    let rt = runtime(1);
    let runs = Marks::new();
    let (attempt, worker) = rt.spawn(dies_twice::remote(runs.path())).get().unwrap();
    // Each death is followed by another worker.
    assert_eq!((attempt, worker), (3, Some(3)));
}

#[remote(timeout = Duration::from_secs(50))]
fn time_left() -> Option<Duration> {
    mobula::context().time_left()
}

#[mobula::test]
fn a_task_knows_how_much_time_is_left() {
    let rt = runtime(1);
    let left = rt.spawn(time_left::remote()).get().unwrap().unwrap();
    assert!(left > Duration::from_secs(1) && left <= Duration::from_secs(50));
}

/// Sleeps until the task is cancelled.
#[remote]
fn sleeps() {
    while !mobula::is_cancelled() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[remote]
fn quick(n: u32) -> u32 {
    n
}

#[mobula::test]
fn wait_returns_at_its_limit_with_what_is_ready() {
    let rt = runtime(2);
    let forever = rt.spawn(sleeps::remote()).cancel_on_drop();
    let done = rt.spawn_all((0..2).map(quick::remote));
    rt.get(&done).unwrap();
    let never = [rt.spawn(sleeps::remote()), rt.spawn(sleeps::remote())];
    let limit = Duration::from_millis(50);
    let (ready, pending) = rt.wait(&never, 1, Some(limit)).unwrap();
    assert_eq!((ready.len(), pending.len()), (0, 2));
    let mut running = rt.as_completed(never.iter().cloned());
    let error = running.next_timeout(limit).unwrap_err();
    assert!(error.is_timeout() && !error.is_task_timeout(), "{error}");
    assert_eq!(running.len(), 2);
    running.cancel();
    let one = running.next_timeout(LONG).unwrap().unwrap();
    assert!(one.get().unwrap_err().is_cancelled());
    // A map likewise.
    let mut results = rt.map((0..2).map(|_| sleeps::remote())).iter();
    assert!(results.next_timeout(limit).unwrap_err().is_timeout());
    drop(results);
    drop(forever);
    assert_eq!(rt.spawn(quick::remote(7)).get_timeout(LONG).unwrap(), 7);
}
