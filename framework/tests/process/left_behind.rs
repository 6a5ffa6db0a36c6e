//! However a driver ends, nothing of it remains: each case is a program of its own.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use rustix::process::{Pid, PidfdFlags, Signal, getuid, kill_process, pidfd_open};

use crate::{
    programs::{FILE, Program},
    support::{Marks, eventually, lives, mark, skip, state},
};

fn kill(pid: u32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid as i32).unwrap(), signal);
}

#[track_caller]
fn leaves_nothing(mut program: Program) {
    eventually("the program has ended", || {
        program.child.try_wait().unwrap().is_some()
    });
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

/// Returns whether this process ignores Ctrl-C by inheritance, and so do its children. A shell does
/// so with the background commands of a script.
fn ctrl_c_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    ignored.is_some_and(|bits| bits >> (Signal::INT.as_raw() - 1) & 1 == 1)
}

#[test]
fn after_ctrl_c() {
    if ctrl_c_is_ignored() {
        return skip("these tests run in the background, where Ctrl-C is ignored");
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

/// The program goes on as another one, with its pid, and nothing of the first remains but that.
#[track_caller]
fn is_replaced(mut program: Program) {
    drop(program.child.stdin.take());
    for pid in &program.processes {
        eventually("a worker or grandchild is gone", || !lives(*pid));
    }
    let driver = program.child.id();
    eventually("the driver runs the other program", || {
        let name = std::fs::read_to_string(format!("/proc/{driver}/comm"));
        name.is_ok_and(|name| name.trim() == "sleep")
    });
    kill(driver, Signal::KILL);
    leaves_nothing(program);
}

/// A program that waits for the end of its standard input.
fn start_waiting(case: &str) -> Program {
    let mut command = Program::command("programs::program", case);
    command.stdin(Stdio::piped());
    Program::follow(command)
}

#[test]
fn when_the_driver_replaces_itself_by_exec() {
    is_replaced(start_waiting("exec"));
}

#[test]
fn when_the_driver_replaces_itself_and_a_forked_helper_lives_on() {
    let thread = PidfdFlags::from_bits_retain(rustix::fs::OFlags::EXCL.bits());
    if pidfd_open(rustix::thread::gettid(), thread).is_err() {
        return skip("no pidfds of threads before Linux 6.9");
    }
    is_replaced(start_waiting("fork, exec"));
}

#[test]
fn when_a_task_has_closed_the_descriptors_of_its_worker() {
    let program = Program::start("closed descriptors");
    kill(program.child.id(), Signal::KILL);
    leaves_nothing(program);
}

#[test]
fn when_a_task_has_replaced_the_descriptors_of_its_worker() {
    let program = Program::start("replaced descriptors");
    kill(program.child.id(), Signal::KILL);
    leaves_nothing(program);
}

fn stop(program: &Program) {
    for pid in &program.processes {
        kill(*pid, Signal::STOP);
    }
    for pid in &program.processes {
        eventually("it is stopped", || state(*pid) == Some('T'));
    }
}

#[test]
fn when_all_processes_were_stopped_before_the_driver_was_killed() {
    // A new parent in the same session: so the system does not continue what has lost the old one.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let program = Program::start("ignores hang-ups");
    stop(&program);
    kill(program.child.id(), Signal::KILL);
    leaves_nothing(program);
}

#[test]
fn when_all_processes_were_stopped_before_the_driver_replaced_itself() {
    let program = start_waiting("ignores hang-ups, exec");
    stop(&program);
    is_replaced(program);
}

#[test]
fn when_the_driver_has_become_another_user() {
    if !getuid().is_root() {
        return skip("only root can become another user");
    }
    leaves_nothing(Program::start("other user"));
}

#[test]
fn a_stopped_worker_is_told_of() {
    let marks = Marks::new();
    let mut child = Program::command("programs::program", "stopped task")
        .env(FILE, marks.path())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut stopped = None;
    for line in lines {
        let line = line.unwrap();
        if line.contains("is stopped by signal 19 (SIGSTOP), in `stops`") {
            let (_, rest) = line.split_once("(pid ").expect("it names the process");
            let (pid, _) = rest.split_once(')').unwrap();
            assert_eq!(stopped.replace(pid.to_owned()), None, "it is said once");
            mark(marks.path());
            kill(pid.parse().unwrap(), Signal::CONT);
        }
    }
    assert!(
        stopped.is_some(),
        "nobody has said that a worker is stopped"
    );
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_dead_workers_have_started_is_collected_where_the_driver_is_who_does() {
    let output = Program::command("programs::program", "subreaper").output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}
