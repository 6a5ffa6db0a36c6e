//! The output of workers reaches the driver's output, with its origin.

use std::{
    io::{Read, Write},
    process::{Command, Output, Stdio},
    time::Duration,
};

use mobula::prelude::*;

use crate::{
    programs::Program,
    support::{self, Marks},
};

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
#[ignore = "a program of other tests"]
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
fn tasks_and_runtimes_end_while_somebody_holds_the_standard_output() {
    let rt = support::runtime(1);
    let out = std::io::stdout().lock();
    let pid = rt.spawn(says::remote("held up")).get().unwrap();
    rt.shutdown();
    drop(out);
    assert!(!support::lives(pid));
}

/// Prints so many lines to one of the outputs, then leaves a mark.
#[remote]
fn prints_lines(lines: u32, to_stderr: bool, mark: &str) {
    for line in 0..lines {
        match to_stderr {
            true => eprintln!("line {line} of {lines}"),
            false => println!("line {line} of {lines}"),
        }
    }
    support::mark(mark);
}

/// Prints lines, and stays for 1,000 s.
#[remote]
fn prints_lines_and_stays(lines: u32, mark: &str) {
    prints_lines(lines, false, mark);
    std::thread::sleep(Duration::from_secs(1000));
}

#[remote]
fn starts_a_thread_that_prints_without_end() {
    std::thread::spawn(|| {
        loop {
            println!("more");
        }
    });
}

/// Programs for the tests below, each with its own standard output.
#[mobula::test]
#[ignore = "a program of other tests"]
fn printer() {
    let Ok(case) = std::env::var("MOBULA_TEST_CASE") else {
        return;
    };
    let path = std::env::var("MOBULA_TEST_PATH").unwrap_or_default();
    let rt = support::runtime(1);
    match case.as_str() {
        // Each output is a file.
        "in order" => {
            let out = |stderr| format!("{path}.{}", if stderr { "err" } else { "out" });
            for n in 0..200 {
                for to_stderr in [false, true] {
                    rt.spawn(prints_lines::remote(n + 1, to_stderr, &path))
                        .get()
                        .unwrap();
                    let text = std::fs::read_to_string(out(to_stderr)).unwrap();
                    assert!(
                        text.ends_with(&format!("line {n} of {}\n", n + 1)),
                        "the result {n} came before the output"
                    );
                }
            }
        }
        "stays" | "nobody reads" => {
            let lines = if case == "stays" { 10_000 } else { 5_000 };
            rt.spawn(prints_lines_and_stays::remote(lines, &path))
                .detach();
            let marks = || std::fs::metadata(&path).map_or(0, |file| file.len());
            support::eventually("the task has printed", || marks() == 1);
            drop(rt);
            // The harness would print, too.
            std::process::exit(0);
        }
        "without blocking" => {
            let stdout = std::io::stdout();
            let flags = rustix::fs::fcntl_getfl(&stdout).unwrap();
            rustix::fs::fcntl_setfl(&stdout, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
            rt.spawn(prints_lines::remote(20_000, false, &path))
                .get()
                .unwrap();
            // Not by way of the destructors, which wait for the rest.
            std::process::exit(0);
        }
        "prints without end" => {
            for _ in 0..3 {
                rt.spawn(starts_a_thread_that_prints_without_end::remote())
                    .get()
                    .unwrap();
            }
            eprintln!("the results came");
        }
        other => panic!("no such case: {other}"),
    }
}

fn printer_program(case: &str, marks: &Marks) -> Command {
    let mut command = Program::command("output::printer", case);
    command.env("MOBULA_TEST_PATH", marks.path());
    command
}

/// Lines of tasks, counted by a reader that takes little at a time.
fn count_slowly(mut from: impl Read) -> usize {
    let (mut lines, mut buffer) = (0, [0; 512]);
    loop {
        let length = from.read(&mut buffer).unwrap();
        if length == 0 {
            return lines;
        }
        // Each line of a task begins with it, and nothing else that the program prints has it.
        let new = buffer[..length].iter().filter(|byte| **byte == b'(');
        lines += new.count();
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_a_task_printed_is_out_before_its_result() {
    let marks = Marks::new();
    let (out, err) = (
        format!("{}.out", marks.path()),
        format!("{}.err", marks.path()),
    );
    let file = |path: &str| std::fs::File::create(path).unwrap();
    let status = printer_program("in order", &marks)
        .stdout(file(&out))
        .stderr(file(&err))
        .status()
        .unwrap();
    let text = std::fs::read_to_string(&err).unwrap();
    for path in [out, err] {
        std::fs::remove_file(path).unwrap();
    }
    let last = text.len().saturating_sub(2000);
    assert!(status.success(), "{}", &text[last..]);
}

#[test]
fn a_slow_reader_gets_all_at_the_end() {
    let marks = Marks::new();
    let mut program = printer_program("stays", &marks).spawn().unwrap();
    let lines = count_slowly(program.stdout.take().unwrap());
    assert!(program.wait().unwrap().success());
    assert_eq!(lines, 10_000);
}

#[test]
fn an_output_that_does_not_block_loses_nothing() {
    let marks = Marks::new();
    let mut program = printer_program("without blocking", &marks).spawn().unwrap();
    let lines = count_slowly(program.stdout.take().unwrap());
    assert!(program.wait().unwrap().success());
    assert_eq!(lines, 20_000);
}

#[test]
fn what_nobody_reads_is_lost_in_the_end_and_said() {
    let marks = Marks::new();
    let mut program = printer_program("nobody reads", &marks).spawn().unwrap();
    let mut stderr = String::new();
    let mut from = program.stderr.take().unwrap();
    from.read_to_string(&mut stderr).unwrap();
    assert!(
        stderr.contains("bytes that tasks have printed are lost, because standard output"),
        "{stderr}"
    );
    assert!(program.wait().unwrap().success());
}

#[test]
fn a_thread_that_never_stops_printing_holds_up_no_result() {
    let marks = Marks::new();
    let output = printer_program("prints without end", &marks)
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("the results came"), "{stderr}");
}

#[remote]
fn complains(text: &str, die: bool) {
    eprintln!("complaint {text}");
    if die {
        std::process::abort();
    }
}

#[mobula::test]
fn the_last_lines_of_a_crash_are_those_of_its_task() {
    let rt = support::runtime(1);
    for n in 0..5 {
        let text = format!("number {n}");
        rt.spawn(complains::remote(&text, false)).get().unwrap();
    }
    let error = rt
        .spawn(complains::remote("of the last", true))
        .get()
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("complaint of the last"), "{text}");
    assert!(!text.contains("number"), "{text}");
}
