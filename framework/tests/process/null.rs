//! Workers without processes, for measurements.

use std::time::{Duration, Instant};

use mobula::prelude::*;

use crate::support::nothing_is_left;

#[remote]
fn nothing(_number: u32) {}

#[remote]
fn sums(_numbers: &[f64]) {}

/// Waits until this many null workers have threads. A new thread names itself, and a joined thread
/// may be listed for a moment.
#[track_caller]
fn threads_become(count: usize) {
    let is_null_worker = |task: std::io::Result<std::fs::DirEntry>| {
        let name = std::fs::read_to_string(task.unwrap().path().join("comm"));
        name.is_ok_and(|name| name.starts_with("mobula-null"))
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let found = tasks.map(is_null_worker).filter(|is| *is).count();
        if found == count {
            return;
        }
        assert!(Instant::now() < deadline, "{found} threads, not {count}");
    }
}

fn works(rt: &Runtime) {
    assert!(rt.worker_pids().is_empty());
    for n in 0..100 {
        rt.spawn(nothing::remote(n)).get().unwrap();
    }
    let refs = rt.spawn_all((0..10_000).map(nothing::remote));
    assert_eq!(rt.get(&refs).unwrap().len(), 10_000);
    drop(refs);
    // Tasks get arguments in the store, although no code reads them.
    let numbers = rt.put(&vec![1.0; 100_000]).unwrap();
    let refs = rt.spawn_all((0..100).map(|_| sums::remote(&numbers)));
    assert_eq!(rt.get(&refs).unwrap().len(), 100);
    drop((refs, numbers));
    nothing_is_left(rt);
}

/// One test, because threads of the whole process are counted.
#[mobula::test]
fn null_workers_answer_each_task_and_end_with_the_runtime() {
    let builder = || Runtime::builder().workers(3).store_capacity(64 << 20);
    let rt = builder().null_work().start().unwrap();
    threads_become(3);
    works(&rt);
    rt.shutdown();
    threads_become(0);

    let rt = builder().null_work_here().start().unwrap();
    threads_become(0);
    works(&rt);
    rt.shutdown();
}
