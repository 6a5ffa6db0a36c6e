//! The driver's errors for a worker that a panic has ended, in a program with `panic = "abort"`.

use std::process::Command;

/// Cargo compiles tests with panics that unwind, whatever their profile says: so the program is
/// compiled here, with all that it needs, and in a folder of its own.
#[test]
fn a_panic_that_aborts_is_told_with_message_and_place() {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--locked", "--profile", "panic-abort"])
        .args(["--package", env!("CARGO_PKG_NAME")])
        .output()
        .expect("cargo starts");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    let lines: Vec<&str> = stdout.lines().collect();
    let [task, thread, after] = lines[..] else {
        panic!("{stdout}{stderr}");
    };
    for (line, says) in [(task, "the task says 7"), (thread, "the thread says 8")] {
        let place = "it panicked at framework/tests/aborting/src/main.rs:";
        let tells = line.contains(says) && line.contains(place) && line.contains("SIGABRT");
        assert!(tells && line.starts_with("crash: true"), "{line}");
    }
    assert_eq!(after, "it goes on: 0");
}
