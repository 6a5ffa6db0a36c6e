//! Finds out whether a thread runs a test of the standard test harness.

use std::backtrace::Backtrace;

use rustix::{process::getpid, thread::gettid};

/// Returns whether the standard test harness started this thread to run a test.
///
/// The harness gives each test a thread of its own, and is at the root of its stack. The function
/// does not recognise a test program outside the folder where cargo puts it.
///
/// In a test program, on threads other than the main one, it takes a backtrace. A backtrace costs
/// up to some 100 ms if the program is large and has debug information. Elsewhere the function
/// costs a few system calls.
pub(crate) fn runs_test_here() -> bool {
    let is_main_thread = gettid() == getpid();
    !is_main_thread && built_as_test() && is_of_harness(&Backtrace::force_capture().to_string())
}

/// Returns whether a backtrace leads to the harness. If it has no name of a Rust function, returns
/// whether the program lies where cargo puts test programs.
fn is_of_harness(backtrace: &str) -> bool {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mut functions = backtrace.lines().filter_map(|line| {
        let (number, name) = line.trim_start().split_once(": ")?;
        is_number(number).then_some(name)
    });
    let is_harness = |name: &str| name.starts_with("test::") || name.starts_with("test[");
    // A stripped program keeps names of the C library's functions.
    let mut stripped = functions.clone();
    functions.any(is_harness) || stripped.all(|name| !name.contains("::")) && built_as_test()
}

/// Returns whether the program lies where cargo puts test programs.
fn built_as_test() -> bool {
    let program = std::env::current_exe();
    program.is_ok_and(|path| path.parent().is_some_and(|folder| folder.ends_with("deps")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_knows_that_it_is_one() {
        assert!(runs_test_here());
        let elsewhere = std::thread::spawn(runs_test_here).join().unwrap();
        assert!(!elsewhere, "a thread that a test starts is its own affair");
    }

    #[test]
    fn names_decide_where_there_are_any() {
        let of_test =
            "   0: mine::contest::one\n             at ./src/lib.rs:1:1\n   1: test::run_test\n";
        assert!(is_of_harness(of_test));
        let plain = "   0: mine::test::one\n             at test::2:1\n   1: std::rt::lang_start\n";
        assert!(!is_of_harness(plain));
        let stripped = "   0: <unknown>\n   1: clone\n";
        assert!(is_of_harness(stripped));
    }
}
