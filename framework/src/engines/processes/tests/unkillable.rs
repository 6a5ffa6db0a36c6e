//! A worker that the system does not let its driver kill. Whether the user may do so or not, in
//! these tests the driver is refused.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};

use rustix::{io::Errno, process::Pid};

use super::*;
use crate::engines::processes::workers::life::REFUSED;

const CASE: &str = "MOBULA_UNIT_TEST_CASE";
const PROGRAM: &str = "engines::processes::tests::unkillable::program";

remote_fn!(STAYS, |_| {
    eprintln!("it stays");
    thread::sleep(Duration::from_secs(1000));
    Ok(text(b""))
});

/// The program that the tests below start as a process of its own. Its worker cannot be killed.
#[test]
#[ignore = "a program of other tests"]
fn program() {
    let Ok(case) = std::env::var(CASE) else {
        return;
    };
    let driver = start(PROGRAM, 1);
    thread::spawn(|| {
        thread::sleep(Duration::from_secs(90));
        eprintln!("nobody says that the worker is still there");
        std::process::exit(1);
    });
    let worker = get(&driver.submit(call(&PID, vec![]))).unwrap();
    let worker = String::from_utf8(worker).unwrap();
    let pid = worker.parse().ok().and_then(Pid::from_raw).unwrap();
    REFUSED.lock().push(pid);
    let task = driver.submit(call(&STAYS, vec![]));
    println!("\nworker: {worker}");
    // So that the task runs, and the worker does not end at once.
    std::io::stdin().read_line(&mut String::new()).unwrap();
    if case == "killed" {
        let id = driver.with(|_, peers| peers.iter_mut().next().unwrap().0);
        driver
            .monitor
            .mark_for_kill(id, "its actor is killed".to_owned());
        // The test has seen the worker's report when it writes a line.
        std::io::stdin().read_line(&mut String::new()).unwrap();
    }
    let (done, end) = mpsc::channel();
    let ended = driver.clone();
    thread::spawn(move || {
        ended.shutdown();
        done.send(()).unwrap();
    });
    let end = end.recv_timeout(Duration::from_secs(60));
    end.expect("the end waits for a process that does not end");
    assert!(rustix::process::test_kill_process(pid).is_ok(), "it lives");
    println!("\nended");
    drop(task);
}

/// Runs the program, up to its end; what must be so when it has said that the worker is left.
fn is_told_of(case: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([PROGRAM, "--exact", "--ignored", "--nocapture"])
        .env(CASE, case)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take();
    let mut go_on = || std::io::Write::write_all(input.as_mut().unwrap(), b"\n").unwrap();
    let (mut told, mut all) = (0, String::new());
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if line.ends_with("it stays") {
            go_on();
        }
        if line.contains("is still there 5s after its end") {
            let why = Errno::PERM.to_string();
            let why = format!("the system does not let this process kill it: {why}");
            assert!(line.ends_with(&why), "{line}");
            told += 1;
            if case == "killed" {
                go_on();
            }
        }
        all += &line;
        all.push('\n');
    }
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{all}");
    assert_eq!(told, 1, "{text}{all}");
    assert!(text.contains("\nended\n"), "{text}{all}");
}

#[test]
fn the_end_of_the_runtime_leaves_it_and_says_so() {
    is_told_of("left");
}

#[test]
fn a_kill_before_the_end_says_so_as_well() {
    is_told_of("killed");
}
