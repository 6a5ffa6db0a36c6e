//! However a driver ends, nothing of it remains: each case is a program of its own.

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    programs::Program,
    support::{eventually, lives},
};

fn kill(pid: u32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid as i32).unwrap(), signal);
}

#[track_caller]
fn leaves_nothing(mut program: Program) {
    program.child.wait().unwrap();
    let driver = program.child.id();
    for pid in &program.processes {
        eventually("a worker or grandchild is gone", || !lives(*pid));
    }
    let names = |folder: &std::path::Path| -> Vec<String> {
        std::fs::read_dir(folder)
            .map(|entries| {
                entries
                    .flatten()
                    .map(|entry| entry.file_name().to_string_lossy().into_owned())
                    .collect()
            })
            .unwrap_or_default()
    };
    let mark = format!("-{driver}-");
    for folder in [std::path::PathBuf::from("/dev/shm"), std::env::temp_dir()] {
        let left: Vec<String> = names(&folder)
            .into_iter()
            .filter(|name| name.contains(&mark))
            .collect();
        assert!(left.is_empty(), "left in {}: {left:?}", folder.display());
    }
}

#[test]
fn after_a_normal_return() {
    leaves_nothing(Program::start("return"));
}

#[test]
fn after_a_panic_of_the_driver() {
    leaves_nothing(Program::start("panic"));
}

#[test]
fn after_process_exit_in_the_driver() {
    leaves_nothing(Program::start("exit"));
}

/// Whether whoever started this process has it, and all that it starts, ignore Ctrl-C: a shell does so with what a script runs in
/// the background.
fn ctrl_c_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    ignored.is_some_and(|bits| bits >> (Signal::INT.as_raw() - 1) & 1 == 1)
}

#[test]
fn after_ctrl_c() {
    if ctrl_c_is_ignored() {
        eprintln!("skipped: these tests run in the background, where Ctrl-C is ignored");
        return;
    }
    let program = Program::start("get");
    kill(program.child.id(), Signal::INT);
    leaves_nothing(program);
}

#[test]
fn after_sigterm_during_a_blocking_get() {
    let program = Program::start("get");
    kill(program.child.id(), Signal::TERM);
    leaves_nothing(program);
}

#[test]
fn after_sigkill_of_the_driver() {
    let program = Program::start("wait");
    kill(program.child.id(), Signal::KILL);
    leaves_nothing(program);
}

#[test]
fn after_sigkill_of_all_processes_at_once() {
    let program = Program::start("wait");
    kill(program.child.id(), Signal::KILL);
    for pid in &program.processes {
        kill(*pid, Signal::KILL);
    }
    leaves_nothing(program);
}

#[test]
fn when_the_runtime_was_started_on_a_thread_that_has_ended() {
    let program = Program::start("thread");
    for pid in &program.processes {
        assert!(lives(*pid), "workers outlive the thread that started them");
    }
    kill(program.child.id(), Signal::KILL);
    leaves_nothing(program);
}

#[test]
fn when_a_forked_helper_of_the_driver_lives_on() {
    let program = Program::start("fork");
    kill(program.child.id(), Signal::KILL);
    leaves_nothing(program);
}
