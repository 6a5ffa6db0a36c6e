//! Workers die; the program goes on.

use std::{os::unix::process::CommandExt, process::Command, time::Duration};

use mobula::{Array, prelude::*};

use crate::support::{Marks, eventually, lives, mark, nothing_is_left, runtime};

#[remote]
fn exits(code: i32) -> u8 {
    eprintln!("before the end: {code}");
    std::process::exit(code)
}

#[remote]
fn aborts() {
    eprintln!("aborting now");
    std::process::abort()
}

/// Goes on as another program.
#[remote]
fn replaces_its_process() {
    let error = Command::new("sleep").arg("1000").exec();
    panic!("{error}");
}

#[remote]
fn pid() -> u32 {
    std::process::id()
}

#[remote]
fn slow(ms: u64, value: u32) -> u32 {
    std::thread::sleep(Duration::from_millis(ms));
    value
}

/// Dies the first `deaths` times; `path` counts the attempts over all processes.
#[remote]
fn dies_at_first(path: &str, deaths: u64) -> std::io::Result<u64> {
    let attempts = mark(path);
    if attempts <= deaths {
        std::process::abort();
    }
    Ok(attempts)
}

/// Runs until the gate has a mark; `runs` counts how often it was begun.
#[remote]
fn waits_at(gate: &str, runs: &str, value: u32) -> u32 {
    mark(runs);
    eventually("the gate is open", || {
        std::fs::metadata(gate).is_ok_and(|gate| gate.len() > 0)
    });
    value
}

#[remote]
fn fails(path: &str) -> Result<(), String> {
    mark(path);
    Err("as always".into())
}

#[remote]
fn closes_standard_descriptors() -> u32 {
    // Descriptors 0 to 2 are taken by whatever is opened next; nothing of ours may go there.
    unsafe extern "C" {
        fn close(fd: i32) -> i32;
    }
    for fd in 0..3 {
        // SAFETY: descriptors are numbers; what uses these three gets an error or another file.
        unsafe { close(fd) };
    }
    println!("nobody reads this");
    7
}

#[remote]
fn keeps(numbers: Array<f64>, inner: ObjectRef<u32>) -> f64 {
    std::thread::sleep(Duration::from_millis(20));
    if numbers.len() > 1 {
        std::process::abort();
    }
    f64::from(inner.get().unwrap())
}

#[mobula::test]
fn a_death_tells_how_where_and_the_last_words() {
    let rt = runtime(1);
    let before = rt.spawn(pid::remote()).get().unwrap();
    let error = rt.spawn(exits::remote(3)).get().unwrap_err();
    assert!(error.is_crash());
    for part in [
        "`exits`",
        "exit code 3",
        "before the end: 3",
        &format!("pid {before}"),
    ] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    let error = rt.spawn(exits::remote(0)).get().unwrap_err();
    assert!(
        error.is_crash() && error.to_string().contains("exit code 0"),
        "{error}"
    );
    let error = rt.spawn(aborts::remote()).get().unwrap_err();
    assert!(
        error.to_string().contains("signal 6 (SIGABRT)")
            && error.to_string().contains("aborting now"),
        "{error}"
    );
    let after = rt.spawn(pid::remote()).get().unwrap();
    assert_ne!(before, after, "another worker is in its place");
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_worker_that_a_task_has_replaced_by_another_program_is_dead() {
    let rt = runtime(1);
    let before = rt.spawn(pid::remote()).get().unwrap();
    let error = rt.spawn(replaces_its_process::remote()).get().unwrap_err();
    assert!(
        error.is_crash() && error.to_string().contains("replaced itself"),
        "{error}"
    );
    eventually("the other program is gone", || !lives(before));
    assert_ne!(rt.spawn(pid::remote()).get().unwrap(), before);
    nothing_is_left(&rt);
}

#[mobula::test]
fn work_that_had_not_started_is_sent_again_for_free() {
    let rt = runtime(1);
    let first = rt.spawn(slow::remote(100, 0));
    let dying = rt.spawn(exits::remote(1));
    let queued = rt.spawn_all((0..50).map(|n| slow::remote(0, n)));
    assert_eq!(rt.get(&queued).unwrap(), (0..50).collect::<Vec<_>>());
    assert!(dying.get().unwrap_err().is_crash());
    assert_eq!(first.get().unwrap(), 0);
}

#[mobula::test]
fn a_task_runs_at_most_once_unless_retries_are_asked_for() {
    let rt = runtime(2);
    let once = Marks::new();
    assert!(
        rt.spawn(dies_at_first::remote(once.path(), 1))
            .get()
            .unwrap_err()
            .is_crash()
    );
    assert_eq!(once.count(), 1);

    let retried = Marks::new();
    assert_eq!(
        rt.spawn(dies_at_first::remote(retried.path(), 2).retries(2))
            .get()
            .unwrap(),
        3
    );

    let exhausted = Marks::new();
    assert!(
        rt.spawn(dies_at_first::remote(exhausted.path(), 9).retries(3))
            .get()
            .unwrap_err()
            .is_crash()
    );
    assert_eq!(exhausted.count(), 4, "the first attempt and three more");
}

#[mobula::test]
fn application_errors_are_not_retried_unless_that_is_asked_for() {
    let rt = runtime(1);
    let attempts = Marks::new();
    let error = rt
        .spawn(fails::remote(attempts.path()).retries(5))
        .get()
        .unwrap_err();
    assert!(error.is_application());
    assert_eq!(attempts.count(), 1);
}

#[mobula::test]
fn closing_descriptors_0_to_2_harms_nobody() {
    let rt = runtime(1);
    for _ in 0..3 {
        assert_eq!(
            rt.spawn(closes_standard_descriptors::remote())
                .get()
                .unwrap(),
            7
        );
    }
    assert_eq!(rt.spawn(slow::remote(0, 5)).get().unwrap(), 5);
    let numbers = vec![1.0; 100_000];
    let stored = rt.put(&numbers).unwrap();
    drop(stored);
    nothing_is_left(&rt);
}

#[mobula::test]
fn what_a_dead_worker_held_is_let_go() {
    let rt = runtime(2);
    let numbers = rt.put(&vec![1.0; 50_000]).unwrap();
    let inner = rt.spawn(slow::remote(0, 3));
    for _ in 0..5 {
        let error = rt
            .spawn(keeps::remote(&numbers, inner.clone()))
            .get()
            .unwrap_err();
        assert!(error.is_crash(), "{error}");
    }
    assert_eq!(
        rt.spawn(keeps::remote(vec![1.0], inner.clone()))
            .get()
            .unwrap(),
        3.0
    );
    drop((numbers, inner));
    nothing_is_left(&rt);
}

#[mobula::test]
fn results_of_a_dead_worker_stay_readable() {
    #[remote]
    fn makes(n: f64) -> Array<f64> {
        Array::from(vec![n; 100_000])
    }
    let rt = runtime(1);
    let results = rt.spawn_all((0..4).map(|n| makes::remote(f64::from(n))));
    let views: Vec<Array<f64>> = rt.get(&results).unwrap();
    assert!(rt.spawn(exits::remote(1)).get().unwrap_err().is_crash());
    for (n, view) in views.iter().enumerate() {
        assert!(view.iter().all(|x| *x == n as f64));
    }
    // And another worker reads them too.
    #[remote]
    fn first(numbers: &[f64]) -> f64 {
        numbers[0]
    }
    for (n, result) in results.iter().enumerate() {
        assert_eq!(rt.spawn(first::remote(result)).get().unwrap(), n as f64);
    }
    drop((results, views));
    nothing_is_left(&rt);
    eventually("the dead worker's memory went back", || {
        rt.store().committed_bytes() < 10 << 20
    });
}

#[mobula::test]
fn killed_workers_under_load_lose_nothing() {
    let rt = runtime(2);
    let mut state = 7_u64;
    for _ in 0..10 {
        let (gate, runs) = (Marks::new(), Marks::new());
        let refs = rt.spawn_all(
            (0..200).map(|n| waits_at::remote(gate.path(), runs.path(), n).retries(100)),
        );
        eventually("each worker runs a task", || runs.count() == 2);
        let pids = rt.worker_pids();
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let victim = pids[(state >> 33) as usize % pids.len()];
        let pid = rustix::process::Pid::from_raw(victim as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        mark(gate.path());
        assert_eq!(rt.get(&refs).unwrap(), (0..200).collect::<Vec<_>>());
        assert_eq!(
            runs.count(),
            201,
            "the task that the dead worker ran, again"
        );
    }
    eventually("both workers are there again", || {
        let pids = rt.worker_pids();
        pids.len() == 2 && pids.iter().all(|pid| lives(*pid))
    });
    nothing_is_left(&rt);
}
