//! The network between two nodes, where each has a network namespace of its own.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use mobula::prelude::*;

use crate::support::{LONG, cluster, scripts, start_on};

#[remote]
fn doubled(values: Vec<f64>, ms: u64) -> Vec<f64> {
    std::thread::sleep(Duration::from_millis(ms));
    values.into_iter().map(|value| value * 2.0).collect()
}

/// A change of the link of the second node; `None` where nodes have no links.
struct Link {
    scripts: PathBuf,
    undo: [&'static str; 2],
}

fn link(scripts: &Path, what: [&str; 2]) -> bool {
    let mut words = vec![what[0], "2"];
    words.extend(Some(what[1]).filter(|word| !word.is_empty()));
    let command = Command::new(scripts.join("ray_net")).args(words).status();
    command.unwrap().success()
}

impl Link {
    fn change(scripts: &Path, what: [&'static str; 2], undo: [&'static str; 2]) -> Option<Link> {
        if !link(scripts, what) {
            eprintln!(
                "skipped: the link cannot be changed here (`ray_net {}`)",
                what[0]
            );
            return None;
        }
        let scripts = scripts.to_owned();
        Some(Link { scripts, undo })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        link(&self.scripts, self.undo);
    }
}

fn all_are_right(calls: Vec<ObjectRef<Vec<f64>>>) {
    for (n, call) in calls.into_iter().enumerate() {
        let values = call.get_timeout(LONG * 2).unwrap();
        assert!(values.len() == 100_000 && values[99_999] == 2.0 * n as f64);
    }
}

#[mobula::test]
fn calls_go_on_behind_a_link_that_was_cut_for_10_s() {
    let (Some(cluster), Some(scripts)) = (cluster(), scripts()) else {
        return;
    };
    let rt = start_on(&cluster);
    let spawn = |n: u32, ms| rt.spawn(doubled::remote(vec![f64::from(n); 100_000], ms).retries(2));
    let calls: Vec<_> = (0..8).map(|n| spawn(n, 3000)).collect();
    // Some run on the other node by then.
    std::thread::sleep(Duration::from_secs(2));
    let Some(cut) = Link::change(&scripts, ["cut", ""], ["mend", ""]) else {
        return;
    };
    std::thread::sleep(Duration::from_secs(10));
    drop(cut);
    all_are_right(calls);
    all_are_right((0..8).map(|n| spawn(n, 100)).collect());
}

#[mobula::test]
fn a_delay_of_5_ms_costs_time_alone() {
    let (Some(cluster), Some(scripts)) = (cluster(), scripts()) else {
        return;
    };
    let Some(_delay) = Link::change(&scripts, ["delay", "5"], ["delay", "0"]) else {
        return;
    };
    let rt = start_on(&cluster);
    let spawn = |n: u32| rt.spawn(doubled::remote(vec![f64::from(n); 100_000], 200));
    all_are_right((0..20).map(spawn).collect());
}
