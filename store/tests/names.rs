//! The names of segments are gone however a process ends, but by SIGKILL.

mod common;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
};

use common::{again, role};
use mobula_store::{Backing, SegmentFile};

const ROUNDS: usize = 20;

fn create() {
    drop(SegmentFile::create(1 << 30, 1 << 20, Backing::SharedMemory).unwrap());
}

/// Another process of this test, when it has begun to make segments one after the other.
fn begun(test: &str, role: &str) -> Child {
    let mut child = again(test, role).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = |line: &std::io::Result<String>| line.as_ref().unwrap().contains("begun");
    assert!(lines.into_iter().any(|line| ready(&line)));
    child
}

#[track_caller]
fn left_nothing(child: &Child) {
    let mark = format!("mobula-{}-", child.id());
    let names = std::fs::read_dir("/dev/shm").unwrap().flatten();
    let left: Vec<_> = names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(&mark))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_exit_while_another_thread_makes_a_segment_leaves_no_name() {
    if role().is_some() {
        create();
        // After an exit has begun, no thread can make a segment any more.
        std::thread::spawn(|| {
            while SegmentFile::create(1 << 30, 1 << 20, Backing::SharedMemory).is_ok() {}
        });
        println!("begun");
        std::process::exit(0);
    }
    for _ in 0..ROUNDS {
        let test = "an_exit_while_another_thread_makes_a_segment_leaves_no_name";
        let mut child = begun(test, "exits");
        assert!(child.wait().unwrap().success());
        left_nothing(&child);
    }
}

#[test]
fn unnamed_files_never_have_a_name() {
    let file = SegmentFile::create(1 << 20, 1 << 20, Backing::Unnamed).unwrap();
    let link = |fd: &dyn std::os::fd::AsFd| {
        use std::os::fd::AsRawFd;
        std::fs::read_link(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())).unwrap()
    };
    // The kernel names an unlinked file by the name that it had, and one without a name by a
    // number.
    let path = link(&file).to_string_lossy().into_owned();
    assert!(!path.contains("mobula-"), "{path}");
    assert!(path.ends_with("(deleted)"), "{path}");
}
