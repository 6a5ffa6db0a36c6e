//! Failures that no caller has read are reported to the user of the program.

use std::time::Duration;

use mobula::prelude::*;

use crate::programs::Program;

const CASE: &str = "MOBULA_TEST_CASE";

#[remote]
fn fails(n: u32) -> Result<u32, String> {
    Err(format!("no room for {n}"))
}

#[remote]
fn adds_one(n: u32) -> u32 {
    n + 1
}

/// Drops the ref of a call that fails.
#[remote]
fn has_one_failed() {
    drop(fails::remote(1).spawn());
}

fn wait(result: &ObjectRef<u32>) {
    while !result.is_ready() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[mobula::test]
#[ignore = "a program of other tests"]
async fn program() {
    let Ok(case) = std::env::var(CASE) else {
        return;
    };
    let rt = Runtime::builder()
        .workers(2)
        .report_unread_failures(case != "silenced")
        .start()
        .unwrap();
    let failed = rt.spawn(fails::remote(1));
    match case.as_str() {
        "dropped" | "silenced" => {
            wait(&failed);
            drop(failed);
        }
        "detached" => failed.detach(),
        "read" => assert!(failed.get().is_err()),
        "awaited" => assert!((&failed).await.is_err()),
        "in a list" => {
            let refs = [
                failed,
                rt.spawn(fails::remote(2)),
                rt.spawn(fails::remote(3)),
            ];
            refs.iter().for_each(wait);
            assert!(rt.get(&refs).is_err());
        }
        "an argument" => {
            let sum = rt.spawn(adds_one::remote(&failed));
            drop(failed);
            assert!(sum.get().is_err());
        }
        "in a task" => {
            assert!(failed.get().is_err());
            rt.spawn(has_one_failed::remote()).get().unwrap();
        }
        "many" => {
            failed.detach();
            (1..100).for_each(|n| rt.spawn(fails::remote(n)).detach());
        }
        other => panic!("there is no case {other}"),
    }
    rt.wait_idle().unwrap();
    rt.shutdown();
    println!("as expected");
}

/// How many failures the program has said, those that it has counted included.
#[track_caller]
fn said(case: &str) -> u64 {
    let output = Program::command("unread::program", case).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && text.contains("as expected"),
        "{text}{errors}"
    );
    let mut count = 0;
    for line in errors.lines() {
        if line.contains("a call failed, and nobody has read why: ") {
            assert!(line.contains("`fails`") && line.contains("no room for"));
            count += 1;
        } else if let Some((more, _)) = line.split_once(" more calls failed, and nobody") {
            let more = more.rsplit(' ').next().unwrap();
            count += more.parse::<u64>().unwrap();
        }
    }
    count
}

#[test]
fn a_failure_that_nobody_reads_is_said_once() {
    assert_eq!(said("dropped"), 1);
    assert_eq!(said("detached"), 1);
    assert_eq!(said("in a task"), 1);
}

#[test]
fn a_failure_that_somebody_reads_is_not_said() {
    for case in ["read", "awaited", "in a list", "an argument"] {
        assert_eq!(said(case), 0, "{case}");
    }
}

#[test]
fn each_of_many_failures_is_said_or_counted() {
    assert_eq!(said("many"), 100);
}

#[test]
fn the_user_of_the_program_need_not_be_told() {
    assert_eq!(said("silenced"), 0);
}
