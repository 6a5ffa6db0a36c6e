//! The progress that tasks report reaches the program.

use mobula::{TaskProgress, prelude::*};

use crate::support::{Marks, eventually, lives, mark, nothing_is_left, runtime};

fn has_marks(path: &str, count: u64) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.len() >= count)
}

/// Says a first thing, waits for a mark, and says the last one.
#[remote]
fn says_first_and_last(path: &str) -> u64 {
    let progress = mobula::context().progress();
    progress.set(3, 10);
    eventually("there is a mark", || has_marks(path, 1));
    progress.inc(1); // Too early to be told.
    progress.inc(6);
    eventually("there are two marks", || has_marks(path, 2));
    10
}

#[mobula::test]
fn the_program_sees_how_far_a_task_is() {
    let (rt, marks) = (runtime(1), Marks::new());
    let task = rt.spawn(says_first_and_last::remote(marks.path()));
    eventually("the first is known", || {
        task.progress() == Some(TaskProgress { done: 3, total: 10 })
    });
    mark(marks.path());
    eventually("the end is known", || {
        task.progress()
            == Some(TaskProgress {
                done: 10,
                total: 10,
            })
    });
    mark(marks.path());
    assert_eq!(task.get().unwrap(), 10);
    assert_eq!(task.progress(), None);
    drop(task);
    nothing_is_left(&rt);
}

#[remote]
fn says_nothing(path: &str) {
    eventually("there is a mark", || has_marks(path, 1));
}

#[mobula::test]
fn there_is_nothing_to_see_of_others() {
    let (rt, marks) = (runtime(1), Marks::new());
    let silent = rt.spawn(says_nothing::remote(marks.path()));
    assert_eq!(silent.progress(), None);
    assert_eq!(rt.put(&1).unwrap().progress(), None);
    mobula::context().progress().inc(1); // No task.
    mark(marks.path());
    silent.get().unwrap();
    rt.shutdown();
    assert_eq!(silent.progress(), None);
}

/// Says how far it is, on a thread too, and dies at its first run.
#[remote(retries = 1)]
fn dies_half_way(runs: &str, path: &str) {
    let progress = mobula::context().progress();
    if mark(runs) == 1 {
        progress.set(5, 10);
        eventually("there is a mark", || has_marks(path, 1));
        std::process::abort();
    }
    eventually("there are two marks", || has_marks(path, 2));
    std::thread::scope(|scope| {
        scope.spawn(|| progress.set(1, 10));
    });
    eventually("there are three marks", || has_marks(path, 3));
}

#[mobula::test]
fn a_further_run_begins_anew() {
    let (rt, runs, marks) = (runtime(1), Marks::new(), Marks::new());
    let task = rt.spawn(dies_half_way::remote(runs.path(), marks.path()));
    let steps = || task.progress().map(|progress| progress.done);
    eventually("the first run has said something", || steps() == Some(5));
    let worker = rt.worker_pids()[0];
    mark(marks.path());
    eventually("the worker is dead", || !lives(worker));
    eventually("what it has said is void", || steps().is_none());
    mark(marks.path());
    eventually("the second run has said something", || steps() == Some(1));
    mark(marks.path());
    task.get().unwrap();
}

#[remote]
async fn counts(path: &str, steps: u64) {
    let progress = mobula::context().progress();
    for _ in 0..steps {
        progress.inc(1);
        tokio::task::yield_now().await;
    }
    progress.set(steps, steps);
    while !has_marks(path, 1) {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[mobula::test]
fn tasks_that_run_side_by_side_count_by_themselves() {
    let (rt, marks) = (runtime(1), Marks::new());
    let tasks = rt.spawn_all((1..=5).map(|n| counts::remote(marks.path(), 10 * n)));
    for (n, task) in (1..).zip(&tasks) {
        let all = TaskProgress {
            done: 10 * n,
            total: 10 * n,
        };
        eventually("all is done", || task.progress() == Some(all));
    }
    mark(marks.path());
    rt.get(&tasks).unwrap();
}
