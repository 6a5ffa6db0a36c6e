//! Detached tasks at the end of a runtime.

use std::time::Duration;

use mobula::{CancelOptions, Error, prelude::*};

use crate::{
    programs::Program,
    support::{Marks, eventually, lives, mark, runtime},
};

/// Takes longer than a runtime that is shut down waits for its tasks.
#[remote]
fn saves(path: &str) {
    std::thread::sleep(Duration::from_millis(400));
    mark(path);
}

#[remote]
fn leaves_the_saving_to_another(path: &str) {
    saves::remote(path).spawn().detach();
}

#[remote]
fn hangs() {
    loop {
        std::thread::park();
    }
}

#[remote]
fn waits_for_all() -> mobula::Result<()> {
    Runtime::current()?.wait_idle()
}

struct Notes(String);

#[remote]
impl Notes {
    fn new(path: String) -> Self {
        Notes(path)
    }
    fn write(&mut self) {
        std::thread::sleep(Duration::from_millis(150));
        mark(&self.0);
    }
}

/// Waits for detached tasks as good as for ever.
fn patient(workers: usize) -> Runtime {
    Runtime::builder()
        .workers(workers)
        .store_capacity(64 << 20)
        .detached_grace(Duration::from_secs(120))
        .start()
        .unwrap()
}

#[mobula::test]
fn dropping_a_runtime_waits_for_detached_tasks() {
    let (rt, marks) = (patient(1), Marks::new());
    for _ in 0..3 {
        saves::remote(marks.path()).spawn().detach();
    }
    drop(rt);
    assert_eq!(marks.count(), 3);
}

#[mobula::test]
fn dropping_a_runtime_waits_for_what_tasks_have_detached() {
    let (rt, marks) = (patient(2), Marks::new());
    for _ in 0..2 {
        leaves_the_saving_to_another::remote(marks.path())
            .spawn()
            .get()
            .unwrap();
    }
    drop(rt);
    assert_eq!(marks.count(), 2);
}

#[mobula::test]
fn dropping_a_runtime_waits_for_detached_calls_of_actors() {
    let (rt, marks) = (patient(1), Marks::new());
    let notes = Notes::remote(marks.path()).spawn();
    for _ in 0..4 {
        notes.write().spawn().detach();
    }
    drop(rt);
    assert_eq!(marks.count(), 4);
    drop(notes);
}

#[mobula::test]
fn an_idle_runtime_has_done_all_of_its_work() {
    let (rt, marks) = (runtime(2), Marks::new());
    rt.wait_idle().unwrap();
    leaves_the_saving_to_another::remote(marks.path())
        .spawn()
        .detach();
    let kept = saves::remote(marks.path()).spawn();
    drop(saves::remote(marks.path()).spawn());
    rt.wait_idle().unwrap();
    assert_eq!(marks.count(), 3);
    assert!(kept.is_ready());
    let error = rt.spawn(waits_for_all::remote()).get().unwrap_err();
    assert!(error.to_string().contains("wait for those"), "{error}");
    rt.clone().shutdown();
    assert!(rt.wait_idle().unwrap_err().is_shutdown());
}

/// Goes on for a while, whether it is wanted or not.
#[remote]
fn does_not_look(path: &str) {
    mark(path);
    std::thread::sleep(Duration::from_millis(300));
    mark(path);
}

#[remote]
fn never_ends(path: &str) {
    mark(path);
    loop {
        std::hint::spin_loop();
    }
}

#[mobula::test]
fn a_runtime_is_idle_when_runs_of_cancelled_tasks_have_ended_too() {
    let (rt, marks) = (runtime(2), Marks::new());
    let run = rt.spawn(does_not_look::remote(marks.path()));
    eventually("it runs", || marks.count() == 1);
    run.cancel_with(CancelOptions::new().kill(false));
    assert!(run.get().unwrap_err().is_cancelled());
    rt.wait_idle().unwrap();
    assert_eq!(marks.count(), 2);
    // This run is killed when its grace time is over.
    let pids = rt.worker_pids();
    let run = rt.spawn(never_ends::remote(marks.path()));
    eventually("it runs", || marks.count() == 3);
    run.cancel_with(CancelOptions::new().grace(Duration::from_millis(50)));
    rt.wait_idle().unwrap();
    assert_eq!(pids.iter().filter(|pid| lives(**pid)).count(), 1);
}

#[mobula::test]
fn a_shutdown_with_a_limit_waits_and_names_what_it_cut() {
    let (rt, marks) = (runtime(1), Marks::new());
    drop(saves::remote(marks.path()).spawn());
    rt.shutdown_timeout(Duration::from_secs(120)).unwrap();
    assert_eq!(marks.count(), 1);

    let rt = runtime(1);
    let pids = rt.worker_pids();
    let tasks = [hangs::remote().spawn(), hangs::remote().spawn()];
    saves::remote(marks.path()).spawn().detach();
    let error: Error = rt.shutdown_timeout(Duration::from_millis(50)).unwrap_err();
    let text = error.to_string();
    assert!(error.is_timeout(), "{text}");
    assert!(
        text.contains("3 tasks") && text.contains("`hangs` (2), `saves`"),
        "{text}"
    );
    assert!(!pids.into_iter().any(lives));
    assert!(tasks[0].get().unwrap_err().is_shutdown());
}

#[mobula::test]
#[ignore = "a program of other tests"]
fn ends_with_detached_tasks() {
    if std::env::var("MOBULA_TEST_CASE").is_err() {
        return;
    }
    let rt = Runtime::builder()
        .workers(1)
        .detached_grace(Duration::from_millis(20));
    let _rt = rt.start().unwrap();
    // This task is not detached, so the end does not wait for it.
    drop(saves::remote("/dev/null").spawn());
    for _ in 0..2 {
        hangs::remote().spawn().detach();
    }
}

#[test]
fn dropping_a_runtime_says_which_detached_tasks_it_cut() {
    let output = Program::command("detached::ends_with_detached_tasks", "cut").output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("2 tasks that had not ended: `hangs` (2), which were detached"),
        "{text}"
    );
}
