//! A program may close descriptors 0 to 2, as daemons do: what it prints then changes no array.

use mobula::prelude::*;
use rustix::process::{Pid, Signal, kill_process};

use crate::{programs::Program, support::eventually};

const DONE: i32 = 7;
const LEN: usize = 1 << 20;

/// Closes what the words of the case say, and prints.
#[remote]
fn sum_with_closed(numbers: &[u8], closed: &str) -> u64 {
    close(closed);
    prints();
    numbers.iter().map(|n| u64::from(*n)).sum()
}

fn close(numbers: &str) {
    unsafe extern "C" {
        fn close(fd: i32) -> i32;
    }
    for number in numbers.bytes() {
        // SAFETY: the processes of this test are made for that; nothing in them owns these.
        unsafe { close(i32::from(number - b'0')) };
    }
}

fn prints() {
    for _ in 0..50 {
        println!("a line for descriptor 1, wherever that leads");
        eprintln!("a line for descriptor 2");
    }
}

/// Returns the number of the failed step, if a step fails. The program closes these descriptors
/// before it starts, and again later. It cannot print.
fn daemon_that_closes(numbers: &str) -> Result<(), i32> {
    close(numbers);
    let runtime = Runtime::builder().workers(2).store_capacity(64 << 20);
    let rt = runtime.start().map_err(|_| 10)?;
    let whole = Ok(LEN as u64);
    let data = rt.put(&vec![1_u8; LEN]).map_err(|_| 11)?;
    for round in 0..3 {
        prints();
        let sum = rt.spawn(sum_with_closed::remote(&data, numbers)).get();
        if sum.map_err(|_| ()) != whole {
            return Err(20 + round);
        }
        let view = data.view().map_err(|_| 30 + round)?;
        if view.iter().any(|n| *n != 1) {
            return Err(40 + round);
        }
        // New workers come with new descriptors.
        close(numbers);
        let before = rt.worker_pids();
        for pid in &before {
            let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw);
            let _ = kill_process(pid.ok_or(50)?, Signal::KILL);
        }
        eventually("new workers are there", || {
            let now = rt.worker_pids();
            !now.is_empty() && now.iter().all(|pid| !before.contains(pid))
        });
    }
    for number in 0..3 {
        let link = std::fs::read_link(format!("/proc/self/fd/{number}"));
        let link = link.unwrap_or_default();
        if link.to_string_lossy().contains("mobula") || link.starts_with("/dev/shm") {
            return Err(60 + number);
        }
    }
    Ok(())
}

#[mobula::test]
#[ignore = "a program of other tests"]
fn daemon() {
    if let Ok(case) = std::env::var("MOBULA_TEST_CASE") {
        let ended = daemon_that_closes(&case);
        std::process::exit(ended.err().unwrap_or(DONE));
    }
}

#[test]
fn what_a_program_without_them_prints_changes_no_array() {
    for case in ["1", "012"] {
        let mut command = Program::command("standard_descriptors::daemon", case);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(DONE), "{case}: {output:?}");
    }
}
