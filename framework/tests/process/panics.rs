//! Panics of tasks: what the caller learns of them, whether the worker survives or not.

use std::process::Output;

use mobula::prelude::*;

use crate::{programs::Program, support};

extern "C" fn callback_of_c(n: usize) -> u32 {
    [1, 2, 3][n]
}

/// A panic cannot leave a function that C could call: the process aborts.
#[remote]
fn panics_where_it_cannot_unwind(n: usize) -> u32 {
    callback_of_c(n)
}

/// The second panic aborts the process.
#[remote]
fn panics_twice(n: u32) -> u32 {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    let _bomb = Bomb;
    assert!(n == 0, "the cause, n = {n}");
    n
}

#[remote]
fn survives_and_aborts_later() {
    let _ = std::panic::catch_unwind(|| panic!("this one was caught"));
    let _ = std::panic::catch_unwind(|| panic!("so was this"));
}

#[remote]
fn aborts() {
    std::process::abort();
}

#[remote]
fn compares(left: u32, right: u32) -> u32 {
    assert_eq!(left, right, "two numbers");
    left
}

#[mobula::test]
fn a_panic_that_kills_the_worker_is_told_with_its_place() {
    let rt = support::runtime(1);
    let error = rt
        .spawn(panics_where_it_cannot_unwind::remote(7))
        .get()
        .unwrap_err();
    assert!(error.is_crash(), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("panicked at framework/tests/process/panics.rs:10:")
            && text.contains("the len is 3 but the index is 7"),
        "{text}"
    );
    let error = rt.spawn(panics_twice::remote(9)).get().unwrap_err();
    let text = error.to_string();
    assert!(
        error.is_crash() && text.contains("the cause, n = 9"),
        "{text}"
    );
    assert!(text.contains("in a destructor"), "{text}");
}

#[mobula::test]
fn a_panic_that_was_survived_is_not_the_cause_of_a_crash() {
    let rt = support::runtime(1);
    rt.spawn(compares::remote(1, 2)).get().unwrap_err();
    rt.spawn(survives_and_aborts_later::remote()).get().unwrap();
    let error = rt.spawn(aborts::remote()).get().unwrap_err();
    assert!(
        error.is_crash() && !error.to_string().contains("panicked"),
        "{error}"
    );
}

#[mobula::test]
fn a_panic_is_one_line_with_a_place_and_has_its_backtrace_apart() {
    let rt = Runtime::builder()
        .workers(1)
        .store_capacity(64 << 20)
        .worker_env("RUST_BACKTRACE", "1")
        .start()
        .unwrap();
    let error = rt.spawn(compares::remote(1, 2)).get().unwrap_err();
    let text = error.to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.contains("panics.rs:") && text.contains("two numbers; left: 1; right: 2"),
        "{text}"
    );
    let frames = error.backtrace().unwrap();
    assert!(
        frames.contains("compares") && frames.starts_with("   0: "),
        "{frames}"
    );
    for others in [
        "short_backtrace",
        "mobula_protocol::process",
        "Backtrace",
        "panic_with_hook",
    ] {
        assert!(!frames.contains(others), "{others} is in {frames}");
    }
    let all = format!("{error:?}");
    assert!(
        all.contains(frames) && all.contains("\n  left: 1\n"),
        "{all}"
    );
}

/// With a hook that each worker sets, see `programs.rs`.
#[mobula::test]
#[ignore = "a program of other tests"]
fn hooked() {
    if std::env::var("MOBULA_TEST_CASE").as_deref() != Ok("hook") {
        return;
    }
    let rt = support::runtime(1);
    let error = rt.spawn(compares::remote(1, 2)).get().unwrap_err();
    assert!(
        error.is_panic() && error.to_string().contains("two numbers"),
        "{error}"
    );
}

#[test]
fn a_hook_that_workers_set_sees_the_panics_of_tasks() {
    let Output { stderr, status, .. } =
        Program::command("panics::hooked", "hook").output().unwrap();
    let text = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{text}");
    let seen = text.matches("the hook saw: panicked at").count();
    assert!(seen == 1 && text.contains("two numbers"), "{text}");
}

/// Without one, nothing is printed: the error says it all.
#[mobula::test]
#[ignore = "a program of other tests"]
fn unhooked() {
    if std::env::var("MOBULA_TEST_CASE").as_deref() != Ok("no hook") {
        return;
    }
    let rt = support::runtime(1);
    rt.spawn(compares::remote(1, 2)).get().unwrap_err();
}

#[test]
fn a_panic_that_becomes_an_error_is_not_printed_as_well() {
    let Output { stderr, status, .. } = Program::command("panics::unhooked", "no hook")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&stderr);
    assert!(status.success() && !text.contains("two numbers"), "{text}");
}
