//! Programs that the other tests start as processes of their own: this test binary again, with a
//! case in the environment. As tests they do nothing.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    time::Duration,
};

use mobula::prelude::*;

use crate::support;

const CASE: &str = "MOBULA_TEST_CASE";

#[remote]
fn launches() -> std::io::Result<u32> {
    Ok(Command::new("sleep")
        .arg("1000")
        .stdin(Stdio::null())
        .spawn()?
        .id())
}

#[remote]
fn sleeps(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

#[remote]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Starts a program; the processes that it has started follow on a line of its output.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) processes: Vec<u32>,
}

impl Program {
    pub(crate) fn command(test: &str, case: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(CASE, case)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Returns when the program has all its processes.
    pub(crate) fn start(case: &str) -> Program {
        let mut child = Program::command("programs::program", case).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let pids = loop {
            let line = lines
                .next()
                .expect("the program ended before it was ready")
                .unwrap();
            if let Some((_, pids)) = line.split_once("processes:") {
                break pids
                    .split_whitespace()
                    .map(|pid| pid.parse().unwrap())
                    .collect();
            }
        };
        // The rest of the output is not of interest, but must not block the program.
        std::thread::spawn(move || lines.for_each(drop));
        Program {
            child,
            processes: pids,
        }
    }
}

/// With a runtime.
#[mobula::test]
fn program() {
    let Ok(case) = std::env::var(CASE) else {
        return;
    };
    match case.as_str() {
        "dies at start" | "hangs at start" => return starts_badly(),
        _ => {}
    }
    if case == "thread" {
        let rt = std::thread::spawn(|| support::runtime(2)).join().unwrap();
        return run(rt, "wait");
    }
    run(support::runtime(2), &case);
}

fn run(rt: Runtime, case: &str) {
    let big = rt.put(&vec![1.0; 1 << 20]).unwrap();
    let grandchild = rt.spawn(launches::remote()).get().unwrap();
    let running = rt.spawn(sleeps::remote(1000));
    let mut processes = rt.worker_pids();
    processes.push(grandchild);
    let text: Vec<String> = processes.iter().map(u32::to_string).collect();
    println!("processes: {}", text.join(" "));
    std::io::stdout().flush().unwrap();
    match case {
        "return" => {}
        "panic" => panic!("the driver panics on purpose"),
        "exit" => std::process::exit(3),
        "fork" => {
            unsafe extern "C" {
                fn fork() -> i32;
            }
            // SAFETY: the child does nothing but sleep and exit, in system calls.
            if unsafe { fork() } == 0 {
                std::thread::sleep(Duration::from_secs(20));
                std::process::abort();
            }
            std::thread::sleep(Duration::from_secs(1000));
        }
        "get" => drop(running.get()),
        _ => std::thread::sleep(Duration::from_secs(1000)),
    }
    drop((big, running));
}

fn starts_badly() {
    let error = Runtime::builder()
        .workers(1)
        .start_timeout(Duration::from_millis(300))
        .start()
        .unwrap_err();
    println!("{error}");
    assert!(error.is_setup());
}

/// Without an entry: only what the case in the environment asks for.
#[test]
fn bare() {
    let start = || {
        let error = Runtime::start().unwrap_err();
        println!("start: {error}");
        assert!(error.is_setup());
    };
    match std::env::var(CASE).as_deref() {
        Ok("forgot") => std::thread::spawn(start).join().unwrap(),
        Ok("plain test") => {
            start();
            let panic = std::panic::catch_unwind(mobula::init).unwrap_err();
            println!("init: {}", panic.downcast_ref::<String>().unwrap());
            start();
        }
        _ => return,
    }
    let pid = std::process::id();
    let children =
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    assert_eq!(children.trim(), "", "no child was started");
}

/// What a worker does before its first task, as the case asks.
fn set_up() {
    match std::env::var(CASE).as_deref() {
        Ok("dies at start") => {
            eprintln!("no licence found");
            std::process::exit(9);
        }
        Ok("hook") => std::panic::set_hook(Box::new(|info| eprintln!("the hook saw: {info}"))),
        Ok("hangs at start") => std::thread::sleep(Duration::from_secs(1000)),
        // SAFETY of the order: nothing else runs in the worker yet, and tasks only read this.
        _ => SET_UP.store(1, std::sync::atomic::Ordering::SeqCst),
    }
}

mobula::worker_setup!(set_up);

pub(crate) static SET_UP: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

#[remote]
fn was_set_up() -> u32 {
    SET_UP.load(std::sync::atomic::Ordering::SeqCst)
}

#[mobula::test]
fn workers_are_set_up_before_their_first_task() {
    let rt = support::runtime(1);
    assert_eq!(rt.spawn(was_set_up::remote()).get().unwrap(), 1);
    assert_eq!(
        SET_UP.load(std::sync::atomic::Ordering::SeqCst),
        0,
        "in workers only"
    );
}

#[mobula::test]
fn workers_have_their_own_environment() {
    let rt = Runtime::builder()
        .workers(1)
        .worker_env("MOBULA_TEST_VALUE", "seven")
        .start()
        .unwrap();
    assert_eq!(
        rt.spawn(environment::remote("MOBULA_TEST_VALUE"))
            .get()
            .unwrap()
            .as_deref(),
        Some("seven")
    );
    assert!(std::env::var("MOBULA_TEST_VALUE").is_err());
}
