//! What workers print reaches the driver's output, with its origin.

use std::{io::Write, process::Output};

use mobula::prelude::*;

use crate::{programs::Program, support};

#[remote]
fn says(text: &str) -> u32 {
    println!("{text} on stdout");
    eprintln!("{text} on stderr");
    // Not text at all, and no end of line.
    std::io::stdout().write_all(b"\xff\xfe!").unwrap();
    std::io::stdout().flush().unwrap();
    std::process::id()
}

#[mobula::test]
fn talker() {
    if std::env::var("MOBULA_TEST_CASE").as_deref() != Ok("talk") {
        return;
    }
    let rt = support::runtime(1);
    let pid = rt.spawn(says::remote("hello")).get().unwrap();
    drop(rt);
    println!("pid:{pid}");
}

#[test]
fn lines_of_workers_carry_function_and_pid() {
    let Output {
        stdout,
        stderr,
        status,
    } = Program::command("output::talker", "talk").output().unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    assert!(status.success(), "{stdout}{stderr}");
    let pid = stdout
        .lines()
        .find_map(|line| line.split_once("pid:").map(|(_, pid)| pid))
        .unwrap();
    assert!(
        stdout.contains(&format!("(says pid={pid}) hello on stdout\n")),
        "{stdout}"
    );
    assert!(
        stderr.contains(&format!("(says pid={pid}) hello on stderr\n")),
        "{stderr}"
    );
    assert!(
        stdout.contains(&format!("(says pid={pid}) \u{fffd}\u{fffd}!")),
        "{stdout}"
    );
    assert!(!stdout.contains("pid=0"));
    let noise = stdout
        .lines()
        .filter(|line| line.contains("running 1 test"))
        .count();
    assert_eq!(
        noise, 1,
        "what workers print before `init` is not passed on: {stdout}"
    );
}

#[mobula::test]
fn a_runtime_ends_while_its_owner_holds_the_standard_output() {
    let rt = support::runtime(1);
    let pid = rt.spawn(says::remote("held up")).get().unwrap();
    let out = std::io::stdout().lock();
    rt.shutdown();
    drop(out);
    assert!(!support::lives(pid));
}
