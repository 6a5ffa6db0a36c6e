//! Nodes: their names, calls and actors that are placed on them, and errors that name them.

use mobula::{Node, prelude::*};

use super::support::{Folder, LONG, eventually, start};

#[remote]
fn node() -> String {
    mobula::context().node()
}

/// Keeps its core until there are files of so many calls.
#[remote(spread)]
fn meets(folder: &str, calls: usize) -> std::io::Result<String> {
    std::fs::File::create_new(format!("{folder}/{}", std::process::id()))?;
    eventually("all calls run", || {
        std::fs::read_dir(folder).unwrap().count() >= calls
    });
    Ok(mobula::context().node())
}

#[remote]
fn panics() {
    panic!("on purpose")
}

#[remote]
fn aborts() {
    std::process::abort()
}

#[remote]
fn half_done(folder: &str) {
    mobula::context().progress().set(2, 4);
    eventually("the test has seen it", || {
        std::fs::exists(format!("{folder}/seen")).unwrap()
    });
}

struct Place;

#[remote]
impl Place {
    fn new() -> Self {
        Place
    }

    fn node(&self) -> String {
        mobula::context().node()
    }
}

fn names(rt: &Runtime) -> Vec<String> {
    let nodes = rt.nodes().unwrap();
    nodes.iter().map(|node| node.name().to_owned()).collect()
}

#[mobula::test]
fn the_nodes_of_a_cluster_are_listed() {
    let Some(rt) = start() else { return };
    let nodes = rt.nodes().unwrap();
    assert!(nodes.len() >= 2, "{nodes:?}");
    let own: Vec<&Node> = nodes.iter().filter(|node| node.is_own()).collect();
    assert_eq!(own.len(), 1, "{nodes:?}");
    assert!(nodes.iter().all(|node| node.num_cpus() >= 1.0), "{nodes:?}");
    rt.clone().shutdown();
    assert!(rt.nodes().unwrap_err().is_shutdown());
}

#[mobula::test]
fn a_call_runs_on_the_node_that_it_names() {
    let Some(rt) = start() else { return };
    for name in names(&rt).iter().rev() {
        let result = rt.spawn(node::remote().node(name));
        assert_eq!(result.get_timeout(LONG).unwrap(), *name);
        let actor = rt.spawn_actor(Place::remote().node(name));
        assert_eq!(
            actor.node().spawn().get_timeout(LONG).unwrap(),
            *name,
            "an actor"
        );
        for result in rt.map((0..3).map(|_| node::remote().node(name))) {
            assert_eq!(result.unwrap(), *name, "an item of a map");
        }
    }
}

#[mobula::test]
fn a_node_that_is_not_there_is_an_error() {
    let Some(rt) = start() else { return };
    let error = rt.spawn(node::remote().node("10.255.255.254"));
    let error = error.get_timeout(LONG).unwrap_err();
    assert!(error.is_usage(), "{error}");
    for name in names(&rt) {
        assert!(error.to_string().contains(&name), "{error}");
    }
    let actor = rt.spawn_actor(Place::remote().node("10.255.255.254"));
    let error = actor.node().spawn().get_timeout(LONG).unwrap_err();
    assert!(error.to_string().contains("10.255.255.254"), "{error}");
}

#[mobula::test]
fn calls_that_are_spread_run_on_all_nodes() {
    let Some(rt) = start() else { return };
    let folder = Folder::new("spread");
    let calls = names(&rt).len();
    let calls: Vec<_> = (0..calls)
        .map(|_| rt.spawn(meets::remote(folder.path(), calls)))
        .collect();
    let mut met: Vec<String> = calls
        .iter()
        .map(|call| call.get_timeout(LONG).unwrap())
        .collect();
    met.sort();
    let mut all = names(&rt);
    all.sort();
    assert_eq!(met, all);
}

#[mobula::test]
fn errors_name_the_node() {
    let Some(rt) = start() else { return };
    for name in names(&rt) {
        let there = format!("on node {name}");
        let panicked = rt.spawn(panics::remote().node(&name));
        let error = panicked.get_timeout(LONG).unwrap_err();
        assert!(
            error.is_panic() && error.to_string().contains(&there),
            "{error}"
        );
        let died = rt.spawn(aborts::remote().node(&name));
        let error = died.get_timeout(LONG).unwrap_err();
        assert!(
            error.is_crash() && error.to_string().contains(&there),
            "{error}"
        );
    }
}

#[mobula::test]
fn a_task_on_the_cluster_says_how_far_it_is() {
    let Some(rt) = start() else { return };
    let folder = Folder::new("progress");
    let running = rt.spawn(half_done::remote(folder.path()));
    eventually("the progress has come", || {
        let progress = running.progress();
        progress.is_some_and(|progress| (progress.done, progress.total) == (2, 4))
    });
    std::fs::write(folder.0.join("seen"), "").unwrap();
    running.get_timeout(LONG).unwrap();
    assert!(running.progress().is_none());
}
