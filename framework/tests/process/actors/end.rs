//! The end of an actor, and what it has kept.

use std::time::{Duration, Instant};

use mobula::prelude::*;

use super::{LONG, Log, Marks, mark};
use crate::support::{eventually, lives, nothing_is_left, runtime};

#[remote]
fn use_later(log: ActorRef<Log>, ms: u64, path: &str) -> mobula::Result<u64> {
    std::thread::sleep(Duration::from_millis(ms));
    log.mark(path).spawn().get()
}

#[mobula::test]
fn the_process_ends_with_the_last_handle_and_the_last_call() {
    let rt = runtime(2);
    let marks = Marks::new();
    let log = rt.spawn_actor(Log::remote().max_restarts(5));
    let pid = log.pid().spawn().get().unwrap();
    assert!(lives(pid) && pid != std::process::id());
    // Calls that wait, handles in tasks that wait: all of them are handles.
    let calls: Vec<_> = (0..20).map(|_| log.mark(marks.path()).spawn()).collect();
    let task = use_later::remote(&log, 100, marks.path()).spawn();
    log.sleep(50).spawn().detach();
    drop(log);
    for call in calls {
        call.get_timeout(LONG).unwrap();
    }
    assert!(lives(pid));
    assert_eq!(task.get_timeout(LONG).unwrap(), 21);
    drop(task);
    eventually("the actor's process has ended", || !lives(pid));
    nothing_is_left(&rt);
    // It is not restarted for that.
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(marks.count(), 21);
}

#[mobula::test]
fn the_process_ends_with_the_last_value_that_has_its_handle_though_nobody_asks_the_runtime() {
    let rt = runtime(1);
    let log = rt.spawn_actor(Log::remote());
    let pid = log.pid().spawn().get().unwrap();
    let kept = rt.put(&vec![log.clone(), log]).unwrap();
    assert!(lives(pid));
    drop(kept);
    eventually("the actor's process has ended", || !lives(pid));

    let log = rt.spawn_actor(Log::remote());
    let pid = log.pid().spawn().get().unwrap();
    let others = rt.put(&vec![log]).unwrap();
    // Handles that came out of a value.
    let log = others.get().unwrap().pop().unwrap();
    drop(others);
    assert_eq!(log.pid().spawn().get().unwrap(), pid);
    drop(log);
    eventually("the actor's process has ended", || !lives(pid));
}

/// Marks its end.
struct Ends {
    path: String,
    sleep: u64,
}

impl Drop for Ends {
    fn drop(&mut self) {
        mark(&self.path);
        std::thread::sleep(Duration::from_millis(self.sleep));
        mark(&self.path);
    }
}

#[remote]
impl Ends {
    fn new(path: String, sleep: u64) -> Self {
        Ends { path, sleep }
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }
}

#[mobula::test]
fn the_value_is_dropped_at_the_end_of_its_handles_and_of_the_runtime() {
    let rt = runtime(1);
    let marks = Marks::new();
    let ends = rt.spawn_actor(Ends::remote(marks.path(), 0));
    let pid = ends.pid().spawn().get().unwrap();
    drop(ends);
    eventually("the actor's process has ended", || !lives(pid));
    assert_eq!(marks.count(), 2);

    let marks = Marks::new();
    let ends = rt.spawn_actor(Ends::remote(marks.path(), 0));
    ActorRef::ready(&ends).unwrap();
    rt.shutdown();
    assert_eq!(marks.count(), 2);
}

#[mobula::test]
fn a_value_has_its_time_of_grace_at_the_end_of_the_runtime_too() {
    // With a handle until the end, and without.
    for kept in [true, false] {
        let rt = runtime(1);
        let marks = Marks::new();
        let ends = rt.spawn_actor(Ends::remote(marks.path(), 700));
        ActorRef::ready(&ends).unwrap();
        let handle = kept.then(|| ends.clone());
        drop(ends);
        rt.shutdown();
        assert_eq!(marks.count(), 2, "its drop was cut off");
        drop(handle);
    }
    let rt = runtime(1);
    let marks = Marks::new();
    let call = Ends::remote(marks.path(), 60_000).grace(Duration::from_millis(300));
    let ends = rt.spawn_actor(call);
    let pid = ends.pid().spawn().get().unwrap();
    let began = Instant::now();
    rt.shutdown();
    assert!(began.elapsed() < Duration::from_secs(20) && !lives(pid));
    assert_eq!(marks.count(), 1);
}

#[mobula::test]
fn a_value_whose_drop_hangs_is_killed_after_the_time_of_grace() {
    let rt = runtime(1);
    let marks = Marks::new();
    let call = Ends::remote(marks.path(), 60_000).grace(Duration::from_millis(100));
    let ends = rt.spawn_actor(call);
    let pid = ends.pid().spawn().get().unwrap();
    let began = Instant::now();
    drop(ends);
    eventually("the actor's process has ended", || !lives(pid));
    assert!(began.elapsed() >= Duration::from_millis(100));
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(marks.count(), 1);
}

#[mobula::test]
fn what_an_actor_keeps_stays_in_the_store() {
    let rt = runtime(1);
    let log = rt.spawn_actor(Log::remote());
    let array = rt.put(&vec![1.0; 100_000]).unwrap();
    assert_eq!(log.keep(&array).spawn().get().unwrap(), 1);
    drop(array);
    std::thread::sleep(Duration::from_millis(20));
    assert!(rt.store().used_bytes() >= 800_000);
    log.forget().spawn().get().unwrap();
    eventually("the array is freed", || rt.store().used_bytes() == 0);
    let array = rt.put(&vec![1.0; 100_000]).unwrap();
    log.keep(&array).spawn().get().unwrap();
    drop(array);
    ActorRef::kill(&log);
    drop(log);
    nothing_is_left(&rt);
}

#[mobula::test]
fn an_actor_ends_although_nobody_asks_for_anything_any_more() {
    let rt = runtime(1);
    for _ in 0..20 {
        let log = rt.spawn_actor(Log::remote());
        let pid = log.pid().spawn().get().unwrap();
        drop(log);
        eventually("the process has ended", || !lives(pid));
    }
}
