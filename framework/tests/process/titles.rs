//! The names of workers in `ps` and `top`.

use mobula::prelude::*;

use crate::support::{Marks, eventually, mark, runtime};

fn stay(here: &str, until: &str) {
    mark(here);
    while std::fs::metadata(until).map_or(0, |file| file.len()) == 0 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

#[remote]
fn stays(here: &str, until: &str) {
    stay(here, until);
}

#[remote]
fn stays_long(here: &str, until: &str) {
    stay(here, until);
}

struct Guest;

#[remote]
impl Guest {
    fn new() -> Self {
        Guest
    }

    fn waits(&self, here: &str, until: &str) {
        stay(here, until);
    }
}

fn shown(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    name.unwrap_or_default().trim_end().to_owned()
}

#[mobula::test]
fn workers_show_the_functions_that_they_run() {
    let rt = runtime(2);
    let pids = rt.worker_pids();
    let names = || {
        let mut names: Vec<_> = pids.iter().map(|pid| shown(*pid)).collect();
        names.sort();
        names
    };
    eventually("both are idle", || names() == ["mobula: idle"; 2]);
    let (here, until) = (Marks::new(), Marks::new());
    let one = rt.spawn(stays::remote(here.path(), until.path()));
    eventually("one works", || names() == ["mobula: idle", "mobula: stays"]);
    let two = rt.spawn(stays_long::remote(here.path(), until.path()));
    eventually("both work", || {
        names() == ["m: stays_long", "mobula: stays"]
    });
    mark(until.path());
    one.get().unwrap();
    two.get().unwrap();
    eventually("both are idle again", || names() == ["mobula: idle"; 2]);
    // The program keeps its own name.
    assert!(!shown(std::process::id()).contains("mobula:"));
}

#[mobula::test]
fn actors_show_their_methods() {
    let rt = runtime(1);
    let guest = rt.spawn_actor(Guest::remote());
    let (here, until) = (Marks::new(), Marks::new());
    let waits = guest.waits(here.path(), until.path()).spawn();
    let pids = || rt.worker_pids();
    let is_shown = || pids().iter().any(|pid| shown(*pid).ends_with("waits"));
    eventually("the method is shown", is_shown);
    mark(until.path());
    waits.get().unwrap();
}
