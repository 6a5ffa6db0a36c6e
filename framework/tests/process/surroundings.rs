//! Workers find the surroundings that the program had when the runtime began.

use std::{path::PathBuf, process::Output};

use mobula::prelude::*;
use rustix::fs::Mode;

use crate::{programs::Program, support};

/// Working directory, an environment variable, umask, blocked signals.
type Found = (PathBuf, Option<String>, String, String);

#[remote]
fn found() -> Found {
    look()
}

fn look() -> Found {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].trim().to_owned()
    };
    (
        std::env::current_dir().unwrap(),
        std::env::var("MOBULA_TEST_SURROUNDINGS").ok(),
        field("Umask:"),
        field("SigBlk:"),
    )
}

#[remote]
fn dies() {
    std::process::abort();
}

struct Place;

#[remote]
impl Place {
    fn new() -> Self {
        Place
    }
    fn found(&self) -> Found {
        look()
    }
}

fn block_a_signal() {
    unsafe extern "C" {
        fn pthread_sigmask(how: i32, set: *const [u64; 16], old: *mut [u64; 16]) -> i32;
    }
    let mut set = [0; 16];
    // SIGUSR2 is 12.
    set[0] = 1 << 11;
    // SAFETY: the set is as large as the system's, and nothing is written.
    let failed = unsafe { pthread_sigmask(0, &raw const set, std::ptr::null_mut()) };
    assert_eq!(failed, 0);
}

#[mobula::test]
#[ignore = "a program of other tests"]
fn changing() {
    if std::env::var("MOBULA_TEST_CASE").as_deref() != Ok("changing") {
        return;
    }
    block_a_signal();
    let rt = support::runtime(1);
    let (own_place, _, own_umask, own_blocked) = look();
    assert_ne!(u64::from_str_radix(&own_blocked, 16).unwrap(), 0);
    let nothing_blocked = "0".repeat(own_blocked.len());
    let expected = (
        own_place,
        Some("before".to_owned()),
        own_umask,
        nothing_blocked,
    );
    assert_eq!(rt.spawn(found::remote()).get().unwrap(), expected);

    std::env::set_current_dir("/").unwrap();
    // SAFETY: no other thread of this program reads the environment by C's functions.
    unsafe { std::env::set_var("MOBULA_TEST_SURROUNDINGS", "after") };
    rustix::process::umask(Mode::from_bits_truncate(0o077));
    let first = rt.worker_pids();
    rt.spawn(dies::remote()).get().unwrap_err();
    assert_eq!(rt.spawn(found::remote()).get().unwrap(), expected);
    support::eventually("another worker is there", || {
        let now = rt.worker_pids();
        now.len() == 1 && now != first
    });
    let actor = Place::remote().spawn();
    assert_eq!(actor.found().spawn().get().unwrap(), expected);
    // A second one starts in a process that was started after the changes for sure.
    let actor = Place::remote().spawn();
    assert_eq!(actor.found().spawn().get().unwrap(), expected);
    println!("all the same");
}

#[test]
fn replacements_and_actors_have_the_surroundings_of_the_start() {
    let Output {
        stdout,
        stderr,
        status,
    } = Program::command("surroundings::changing", "changing")
        .env("MOBULA_TEST_SURROUNDINGS", "before")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
    assert!(status.success() && text.contains("all the same"), "{text}");
}

#[mobula::test]
fn workers_are_where_the_builder_says() {
    let start = |path: &str| {
        let builder = Runtime::builder().workers(1).store_capacity(64 << 20);
        builder.current_dir(path).start()
    };
    let rt = start("/").unwrap();
    assert_eq!(
        rt.spawn(found::remote()).get().unwrap().0,
        PathBuf::from("/")
    );
    for none in ["/no/such/place", "/dev/null"] {
        let error = start(none).unwrap_err();
        assert!(
            error.is_setup() && error.to_string().contains(none),
            "{error}"
        );
    }
}
