//! Set-up functions of workers that fail, for some time or for ever, or do what they cannot.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use mobula::{Array, prelude::*};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    programs::{FILE, Program},
    support::{Marks, eventually, mark, runtime, whole},
};

const CASE: &str = "MOBULA_TEST_CASE";

/// While this file is there, set-up fails.
fn switch() -> Option<PathBuf> {
    Some(Path::new(&std::env::var_os(FILE)?).with_extension("fails"))
}

fn set_up() {
    match std::env::var(CASE).as_deref() {
        Ok("set-up fails for some time" | "set-up fails for ever")
            if switch().is_some_and(|switch| switch.exists()) =>
        {
            mark(&std::env::var(FILE).unwrap());
            panic!("no licence is left");
        }
        Ok("set-up spawns") => drop(seven::remote().spawn().get().unwrap()),
        Ok("set-up asks for the runtime") => drop(Runtime::current().unwrap()),
        Ok("set-up makes an array") => {
            let array = Array::build(100_000, |out: &mut [u64]| out.fill(7)).unwrap();
            assert_eq!(array[99_999], 7);
        }
        Ok("set-up starts a runtime") => drop(Runtime::start().unwrap()),
        _ => {}
    }
}

mobula::worker_setup!(set_up);

#[remote]
fn seven() -> u32 {
    7
}

/// Ends when so many run.
#[remote]
fn gathers(path: &str, workers: u64) -> u32 {
    mark(path);
    eventually("the others run", || {
        std::fs::metadata(path).unwrap().len() >= workers
    });
    std::process::id()
}

/// The processes of the pool, which are all up.
fn all_up(rt: &Runtime, workers: u64) -> Vec<u32> {
    let marks = Marks::new();
    let calls = (0..workers).map(|_| gathers::remote(marks.path(), workers));
    rt.get(&rt.spawn_all(calls)).unwrap()
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
}

fn attempts() -> u64 {
    std::fs::metadata(std::env::var_os(FILE).unwrap()).map_or(0, |metadata| metadata.len())
}

fn fails_for_some_time() {
    let rt = runtime(2);
    let pids = all_up(&rt, 2);
    std::fs::write(switch().unwrap(), "").unwrap();
    let since = Instant::now();
    kill(pids[0]);
    while since.elapsed() < Duration::from_secs(3) || attempts() < 2 {
        assert_eq!(rt.spawn(seven::remote()).get().unwrap(), 7);
        std::thread::sleep(Duration::from_millis(20));
    }
    // Three at once, and then after pauses that double from 20 ms on.
    let most = 4 + (since.elapsed().as_millis() / 20).ilog2();
    let attempts = attempts();
    assert!((1..=u64::from(most)).contains(&attempts), "{attempts}");
    std::fs::remove_file(switch().unwrap()).unwrap();
    let again = all_up(&rt, 2);
    assert!(again.contains(&pids[1]) && !again.contains(&pids[0]));
    println!("as expected");
}

struct Idle;

#[remote]
impl Idle {
    fn new() -> Self {
        Idle
    }

    fn seven(&self) -> u32 {
        7
    }
}

/// No worker of the pool comes up any more.
fn fails_for_ever(with_actor: bool) {
    let rt = runtime(1);
    let actor = with_actor.then(|| Idle::remote().spawn());
    if let Some(actor) = &actor {
        assert_eq!(actor.seven().spawn().get().unwrap(), 7);
    }
    let pids = all_up(&rt, 1);
    std::fs::write(switch().unwrap(), "").unwrap();
    kill(pids[0]);
    let waiting = rt.spawn_all((0..3).map(|_| seven::remote()));
    for call in waiting {
        // A call that was on its way to the worker has died with it.
        let error = call.get_timeout(Duration::from_secs(60)).unwrap_err();
        assert!(error.is_setup() || error.is_crash(), "{}", whole(&error));
    }
    let error = seven::remote().spawn().get_timeout(Duration::from_secs(60));
    let error = error.unwrap_err();
    assert!(error.is_setup(), "{}", whole(&error));
    assert!(whole(&error).contains("no licence is left"), "{error}");
    assert!(whole(&error).contains("set_up.rs:"), "{error}");
    if let Some(actor) = &actor {
        assert_eq!(actor.seven().spawn().get().unwrap(), 7);
    }
    std::fs::remove_file(switch().unwrap()).unwrap();
    if with_actor {
        all_up(&rt, 1);
    }
}

#[mobula::test]
#[ignore = "a program of other tests"]
fn program() {
    match std::env::var(CASE).as_deref() {
        Ok("set-up fails for some time") => fails_for_some_time(),
        Ok("set-up fails for ever") => {
            fails_for_ever(true);
            fails_for_ever(false);
            println!("as expected");
        }
        Ok("set-up spawns" | "set-up asks for the runtime" | "set-up starts a runtime") => {
            let error = Runtime::builder().workers(1).start().unwrap_err();
            assert!(error.is_setup(), "{}", whole(&error));
            println!("{error}");
        }
        Ok("set-up makes an array") => {
            let rt = runtime(1);
            assert_eq!(rt.spawn(seven::remote()).get().unwrap(), 7);
            println!("as expected");
        }
        _ => {}
    }
}

/// Runs the program; what it, its workers, and Mobula have said.
#[track_caller]
fn run(case: &str) -> String {
    let marks = Marks::new();
    let mut command = Program::command("set_up::program", case);
    let output = command.env(FILE, marks.path()).output().unwrap();
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn a_set_up_that_fails_is_tried_ever_less_often_until_it_works_and_said_once() {
    let text = run("set-up fails for some time");
    assert!(text.contains("as expected"), "{text}");
    let said = |what: &str| text.matches(what).count();
    // The first worker itself, and the tenth of them in what is said about it.
    assert!((1..=4).contains(&said("no licence is left")), "{text}");
    assert_eq!(said("ended before it was ready"), 1, "{text}");
    assert_eq!(said("a worker is ready, after"), 1, "{text}");
}

#[test]
fn calls_fail_when_no_worker_can_be_set_up() {
    assert!(run("set-up fails for ever").contains("as expected"));
}

#[test]
fn a_set_up_that_uses_the_runtime_is_told_what_to_do() {
    let cases = [
        "set-up spawns",
        "set-up asks for the runtime",
        "set-up starts a runtime",
    ];
    for case in cases {
        let text = run(case);
        let told = text.contains("`worker_setup!`") && text.contains("do this in a task");
        assert!(told, "{text}");
        assert!(!text.contains("spoke before it registered"), "{text}");
    }
}

#[test]
fn a_set_up_may_make_arrays() {
    assert!(run("set-up makes an array").contains("as expected"));
}
