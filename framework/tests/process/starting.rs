//! Programs that cannot start say what to do.

use std::{
    ffi::OsStr,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, net::UnixDatagram},
    },
    path::PathBuf,
    process::{Command, Output},
};

use mobula::prelude::*;

use crate::{programs::Program, support};

fn output(test: &str, case: &str) -> String {
    said(Program::command(test, case).output().unwrap())
}

/// Returns the output of a program that has ended well.
#[track_caller]
fn said(output: Output) -> String {
    let Output {
        stdout,
        stderr,
        status,
    } = output;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr)
    );
    assert!(status.success(), "{text}");
    text
}

#[test]
fn a_program_that_forgot_init_starts_no_child_and_is_told_what_to_add() {
    let text = output("programs::bare", "forgot");
    assert!(
        text.contains("mobula::init();") && text.contains("#[mobula::main]"),
        "{text}"
    );
}

#[test]
fn a_plain_test_starts_no_child_and_is_told_what_to_write() {
    let text = output("programs::bare", "plain test");
    let refused = text.lines().filter(|line| line.contains("#[mobula::test]"));
    let by = |what: &str| refused.clone().filter(|line| line.contains(what)).count();
    assert_eq!((by("start: "), by("init: ")), (2, 1), "{text}");
}

#[test]
fn a_plain_test_is_not_helped_by_a_marked_neighbour() {
    // The neighbour is on a thread of its own, as the harness has it.
    std::thread::spawn(a_marked_test_may_call_init)
        .join()
        .unwrap();
    let error = Runtime::start().unwrap_err();
    assert!(error.to_string().contains("#[mobula::test]"), "{error}");
}

#[mobula::test]
fn a_marked_test_may_call_init() {
    mobula::init();
    let rt = support::runtime(1);
    assert_eq!(rt.spawn(total::remote(&[1, 2])).get().unwrap(), 2);
}

#[test]
fn a_worker_that_dies_at_its_start_is_an_error_with_its_last_words() {
    let text = output("programs::program", "dies at start");
    assert!(
        text.contains("ended before it was ready") && text.contains("exit code 9"),
        "{text}"
    );
    assert!(text.contains("no licence found"), "{text}");
}

#[test]
fn a_worker_that_does_not_get_ready_is_an_error() {
    let text = output("programs::program", "hangs at start");
    assert!(text.contains("was not ready within 300ms"), "{text}");
}

#[remote]
fn total(bytes: &[u8]) -> usize {
    bytes.len()
}

/// The test that runs where `/dev/shm` has one mebibyte.
#[mobula::test]
#[ignore = "a program of other tests"]
fn in_a_small_container() {
    if std::env::var("MOBULA_TEST_CASE").as_deref() != Ok("small") {
        return;
    }
    let rt = support::runtime(3);
    let large = rt.put(&vec![1_u8; 32 << 20]).unwrap();
    assert_eq!(rt.spawn(total::remote(&large)).get().unwrap(), 32 << 20);
    drop(large);
    support::nothing_is_left(&rt);
    println!("it works");
}

#[test]
fn a_small_dev_shm_is_enough_for_a_large_store() {
    let program = Program::command("starting::in_a_small_container", "small");
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "sh",
            "-c",
            "mount -t tmpfs -o size=1m none /dev/shm && exec \"$@\"",
            "sh",
        ])
        .arg(program.get_program())
        .args(program.get_args())
        .env("MOBULA_TEST_CASE", "small");
    let Ok(Output {
        stdout,
        stderr,
        status,
    }) = command.output()
    else {
        return support::skip("there is no `unshare` on this machine");
    };
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr)
    );
    if text.contains("not permitted") || text.contains("permission denied") {
        return support::skip("mounting is not permitted here");
    }
    assert!(status.success() && text.contains("it works"), "{text}");
}

#[remote]
fn uses_an_executor(n: u32) -> u32 {
    futures::executor::block_on(async { n + 1 })
}

/// Begins like `#[mobula::test]`, but inside an executor, which does not run inside itself.
#[test]
fn a_worker_that_begins_inside_an_executor_runs_its_tasks_outside() {
    futures::executor::block_on(async {
        mobula::__private::test_entry(mobula::__private::test_name(concat!(
            module_path!(),
            "::a_worker_that_begins_inside_an_executor_runs_its_tasks_outside",
        )));
        let rt = support::runtime(1);
        assert_eq!(rt.spawn(uses_an_executor::remote(1)).await.unwrap(), 2);
    });
}

/// A message on standard input, and the token of it in the environment.
#[test]
fn workers_of_another_version_are_left_alone_and_start_no_workers() {
    const TOKEN: &str = "0123456789abcdef-0123456789abcdef";
    let start = |case: &str, message: &[u8]| {
        let (driver, worker) = UnixDatagram::pair().unwrap();
        driver.send(message).unwrap();
        let mut command = Program::command("programs::program", case);
        command.env("MOBULA_WORKER", TOKEN);
        let worker: OwnedFd = worker.into();
        said(command.stdin(worker).output().unwrap())
    };
    let message = format!("\u{1}: {TOKEN}, and more");
    let text = start("another version's worker", message.as_bytes());
    assert!(text.contains("by another version of Mobula"), "{text}");
    // A program that a task of such a worker has started is an ordinary program.
    let text = start("plain", b"something else");
    assert!(text.contains("it says 7"), "{text}");
}

/// The program interpreter that the linker has named in this program.
fn dynamic_loader() -> Option<PathBuf> {
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let name = b"/lib";
    let at = program.windows(name.len()).position(|part| part == name)?;
    let path = program[at..].split(|byte| *byte == 0).next()?;
    let path = PathBuf::from(OsStr::from_bytes(path));
    path.is_file().then_some(path)
}

#[test]
fn a_start_through_the_dynamic_loader_runs_nothing_but_this_program() {
    let Some(loader) = dynamic_loader() else {
        return support::skip("this program needs no dynamic loader");
    };
    let plain = Program::command("programs::program", "plain");
    for options in [&[][..], &["--library-path", "/nowhere"]] {
        let mut command = Command::new(&loader);
        command.args(options).arg(plain.get_program());
        command.args(plain.get_args());
        for (name, value) in plain.get_envs() {
            command.env(name, value.unwrap());
        }
        let text = said(command.output().unwrap());
        assert!(text.contains("it says 7"), "{text}");
    }
}
