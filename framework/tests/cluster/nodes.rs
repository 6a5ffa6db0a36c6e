//! Nodes that die while calls run on them.

use std::time::{Duration, Instant};

use mobula::prelude::*;

use crate::support::{Folder, LONG, Node, cluster, eventually, scripts, start_on};

/// A number of elements that is large enough for Ray's store.
const LARGE: usize = 1 << 18;

/// Says by a file on which node it runs, then takes its time.
#[remote]
fn works(folder: &str, index: usize, ms: u64) -> Vec<f64> {
    let raylet = std::env::var("RAY_RAYLET_PID").unwrap();
    let name = format!("{index}-{raylet}-{}", std::process::id());
    std::fs::File::create(std::path::Path::new(folder).join(name)).unwrap();
    std::thread::sleep(Duration::from_millis(ms));
    vec![index as f64; LARGE]
}

#[remote]
fn first(values: &[f64]) -> f64 {
    values[0]
}

/// Which calls ran on a node, by the files that they have left.
fn on(node: &Node, folder: &Folder) -> Vec<usize> {
    let names = folder.names().into_iter();
    let parsed = names.map(|name| {
        let mut parts = name.split('-').map(|part| part.parse::<usize>().unwrap());
        (parts.next().unwrap(), parts.next().unwrap())
    });
    parsed
        .filter(|(_, raylet)| node.has(*raylet as u32))
        .map(|(index, _)| index)
        .collect()
}

/// Waits until calls go to a new node.
fn until_it_is_used(rt: &Runtime, node: &Node) {
    eventually("the new node is used", || {
        let folder = Folder::new("probe");
        let calls: Vec<_> = (0..6)
            .map(|n| rt.spawn(works::remote(folder.path(), n, 300)))
            .collect();
        for call in &calls {
            call.get_timeout(LONG).unwrap();
        }
        !on(node, &folder).is_empty()
    });
}

#[mobula::test]
fn calls_survive_the_node_that_runs_them() {
    let (Some(cluster), Some(scripts)) = (cluster(), scripts()) else {
        return;
    };
    let rt = start_on(&cluster);
    let mut node = Node::join(&scripts, 3, &cluster);
    until_it_is_used(&rt, &node);
    let folder = Folder::new("node");
    let calls: Vec<_> = (0..6)
        .map(|n| rt.spawn(works::remote(folder.path(), n, 4000).retries(2)))
        .collect();
    eventually("all calls run", || folder.names().len() == 6);
    assert!(!on(&node, &folder).is_empty());
    let began = Instant::now();
    node.kill();
    for (n, call) in calls.iter().enumerate() {
        assert_eq!(call.get_timeout(LONG).unwrap()[0], n as f64);
    }
    let took = began.elapsed();
    eprintln!(
        "all calls had ended {:.1} s after the node",
        took.as_secs_f64()
    );
    assert!(took < LONG / 2, "{took:?}");
}

#[mobula::test]
fn results_lost_with_a_node_are_computed_again_or_lost() {
    let (Some(cluster), Some(scripts)) = (cluster(), scripts()) else {
        return;
    };
    let rt = start_on(&cluster);
    let mut node = Node::join(&scripts, 3, &cluster);
    until_it_is_used(&rt, &node);
    let folder = Folder::new("results");
    // Half of the calls may run again.
    let calls: Vec<_> = (0..12)
        .map(|n| {
            let call = works::remote(folder.path(), n, 500);
            rt.spawn(if n % 2 == 0 { call.retries(2) } else { call })
        })
        .collect();
    eventually("all calls have begun", || folder.names().len() == 12);
    // This does not wait for their results, since these would bring their values to this node.
    std::thread::sleep(Duration::from_secs(3));
    let there = on(&node, &folder);
    node.kill();
    for (n, call) in calls.iter().enumerate() {
        let value = rt.spawn(first::remote(call)).get_timeout(LONG);
        match value {
            Ok(value) => assert_eq!(value, n as f64),
            Err(error) => {
                assert!(there.contains(&n) && n % 2 == 1, "call {n}: {error}");
                assert!(error.is_lost() || error.is_dependency(), "{error}");
            }
        }
    }
}

#[mobula::test]
fn the_end_of_the_head_is_an_error() {
    let (Some(_), Some(scripts)) = (cluster(), scripts()) else {
        return;
    };
    let mut head = Node::head(&scripts, 4);
    let rt = start_on(&head.address);
    let folder = Folder::new("head");
    let call = rt.spawn(works::remote(folder.path(), 0, 120_000));
    eventually("the call runs", || !folder.names().is_empty());
    let began = Instant::now();
    head.kill();
    let error = call.get_timeout(LONG * 2).unwrap_err();
    eprintln!(
        "the error came after {:.1} s: {error}",
        began.elapsed().as_secs_f64()
    );
    assert!(error.is_shutdown() || error.is_crash(), "{error}");
    let error = rt
        .spawn(works::remote(folder.path(), 1, 1))
        .get_timeout(LONG)
        .unwrap_err();
    assert!(error.is_shutdown() || error.is_crash(), "{error}");
}
