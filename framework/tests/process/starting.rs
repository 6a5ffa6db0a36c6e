//! Programs that cannot start say what to do.

use std::process::Output;

use crate::programs::Program;

fn output(test: &str, case: &str) -> String {
    let Output {
        stdout,
        stderr,
        status,
    } = Program::command(test, case).output().unwrap();
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
