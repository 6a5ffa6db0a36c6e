//! Processes of a runtime that die while calls run.

use std::{
    os::unix::process::parent_id,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use mobula::prelude::*;

use crate::support::{
    Folder, LONG, cluster, eventually, helper_of, kill, lives, start, start_on, tree,
};

/// Leaves a file that is named after its process and that of Ray, and ends after the first run only
/// when it is killed.
#[remote]
fn runs_until_killed(folder: &str) -> u32 {
    let folder = std::path::Path::new(folder);
    let first = std::fs::read_dir(folder).unwrap().next().is_none();
    let name = format!("{}-{}", std::process::id(), parent_id());
    std::fs::File::create(folder.join(name)).unwrap();
    if first {
        std::thread::sleep(LONG * 2);
    }
    7
}

#[remote]
fn answers() -> u32 {
    7
}

/// The process of the program and the one of Ray that run a call.
fn running(folder: &Folder) -> (u32, u32) {
    let mut names = Vec::new();
    eventually("the call runs", || {
        names = folder.names();
        !names.is_empty()
    });
    let (own, ray) = names[0].split_once('-').unwrap();
    (own.parse().unwrap(), ray.parse().unwrap())
}

#[mobula::test]
fn a_call_survives_its_ray_worker() {
    let Some(rt) = start() else { return };
    let folder = Folder::new("worker");
    let call = rt.spawn(runs_until_killed::remote(folder.path()).retries(1));
    let (own, ray) = running(&folder);
    kill(&[ray]);
    assert_eq!(call.get_timeout(LONG).unwrap(), 7);
    eventually("the process of the dead worker is gone", || !lives(own));
}

#[mobula::test]
fn a_call_without_retries_fails_with_its_ray_worker() {
    let Some(rt) = start() else { return };
    let folder = Folder::new("worker-once");
    let call = rt.spawn(runs_until_killed::remote(folder.path()));
    let (own, ray) = running(&folder);
    kill(&[ray]);
    let error = call.get_timeout(LONG).unwrap_err();
    assert!(error.is_crash(), "{error}");
    eventually("the process of the dead worker is gone", || !lives(own));
}

#[mobula::test]
fn a_call_survives_its_process() {
    let Some(rt) = start() else { return };
    let folder = Folder::new("process");
    let call = rt.spawn(runs_until_killed::remote(folder.path()).retries(1));
    let (own, _) = running(&folder);
    kill(&[own]);
    assert_eq!(call.get_timeout(LONG).unwrap(), 7);
}

#[mobula::test]
fn what_waits_fails_with_the_helper_and_nothing_is_left() {
    let Some(rt) = start() else { return };
    let folder = Folder::new("helper");
    let call = rt.spawn(runs_until_killed::remote(folder.path()));
    let (own, _) = running(&folder);
    kill(&[helper_of(std::process::id())]);
    let error = call.get_timeout(LONG).unwrap_err();
    assert!(error.is_shutdown(), "{error}");
    let error = rt.spawn(answers::remote()).get_timeout(LONG).unwrap_err();
    assert!(error.is_shutdown(), "{error}");
    eventually("the process of the call is gone", || !lives(own));
}

#[mobula::test]
fn the_death_of_what_keeps_queues_is_an_error_and_calls_go_on() {
    let Some(rt) = start() else { return };
    let queue = mobula::Queue::<u32>::bounded(4).unwrap();
    queue.put(&1).unwrap();
    let hubs = || -> Vec<u32> {
        let is_hub = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains("ray::Hub")
        };
        tree(1).into_iter().filter(is_hub).collect()
    };
    let hub = hubs();
    assert!(!hub.is_empty());
    kill(&hub);
    let error = queue.get().unwrap_err();
    assert!(error.is_actor_dead(), "{error}");
    assert_eq!(rt.spawn(answers::remote()).get_timeout(LONG).unwrap(), 7);
}

/// The program that another test kills.
#[mobula::test]
fn program() {
    let Ok(folder) = std::env::var("MOBULA_TEST_PROGRAM") else {
        return;
    };
    let rt = start_on(&cluster().unwrap());
    let calls: Vec<_> = (0..4)
        .map(|_| rt.spawn(marks_and_sleeps::remote(&folder)))
        .collect();
    for call in calls {
        call.get().unwrap();
    }
}

#[remote]
fn marks_and_sleeps(folder: &str) {
    let file = std::path::Path::new(folder).join(std::process::id().to_string());
    std::fs::File::create(file).unwrap();
    std::thread::sleep(LONG * 4);
}

#[mobula::test]
fn nothing_is_left_of_a_program_that_is_killed() {
    if cluster().is_none() {
        return;
    }
    let folder = Folder::new("program");
    let mut program = Command::new(std::env::current_exe().unwrap())
        .args([
            "kills::program",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("MOBULA_TEST_PROGRAM", folder.path())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    eventually("four calls run, on two nodes", || folder.names().len() == 4);
    let helper = helper_of(program.id());
    program.kill().unwrap();
    program.wait().unwrap();
    let began = Instant::now();
    let mut left = vec![helper];
    left.extend(folder.names().iter().map(|pid| pid.parse::<u32>().unwrap()));
    eventually("no process is left", || !left.iter().any(|pid| lives(*pid)));
    let took = began.elapsed();
    eprintln!(
        "the last process ended {:.1} s after the program",
        took.as_secs_f64()
    );
    assert!(took < Duration::from_secs(30), "{took:?}");
}
