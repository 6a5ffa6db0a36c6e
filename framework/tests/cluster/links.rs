//! The network between two nodes, where each has a network namespace of its own.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use mobula::prelude::*;

use crate::support::{LONG, address_of, cluster, eventually, scripts, start_on};

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

/// Sends back what comes, until the other side is done.
#[remote]
fn echoes(address: &str) -> std::io::Result<u64> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    std::io::copy(&mut stream.try_clone()?, &mut stream)
}

/// A connection that the other node sends everything back on.
fn echo(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let mut accepted = None;
    eventually("the other node connects", || {
        accepted = listener.accept().ok();
        accepted.is_some()
    });
    let (stream, _) = accepted.unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// The shortest of some round trips.
fn round_trip(mut stream: &TcpStream) -> Duration {
    let times = (0..30).map(|_| {
        let began = Instant::now();
        stream.write_all(&[7]).unwrap();
        stream.read_exact(&mut [0]).unwrap();
        began.elapsed()
    });
    times.min().unwrap()
}

#[mobula::test]
fn a_delay_of_5_ms_is_one_of_10_ms_there_and_back_on_open_connections() {
    let (Some(cluster), Some(scripts)) = (cluster(), scripts()) else {
        return;
    };
    // The kernel may round a delay down.
    let both_ways = Duration::from_millis(9);
    let rt = start_on(&cluster);
    let listener = TcpListener::bind((address_of(&scripts, 1), 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let there = address_of(&scripts, 2);
    let call = rt.spawn(echoes::remote(&address).node(&there));
    let stream = echo(&listener);
    let before = round_trip(&stream);
    let Some(delay) = Link::change(&scripts, ["delay", "5"], ["delay", "0"]) else {
        return;
    };
    let delayed = round_trip(&stream);
    drop(delay);
    let after = round_trip(&stream);
    eprintln!("round trips: {before:?}, with a delay {delayed:?}, then {after:?}");
    assert!(
        before < both_ways && after < both_ways,
        "{before:?} {after:?}"
    );
    assert!(delayed >= both_ways, "{delayed:?}");
    drop(stream);
    assert_eq!(call.get_timeout(LONG).unwrap(), 90);
}

/// An array of 4 MB.
const LARGE: usize = 500_000;

#[remote]
fn node() -> String {
    mobula::context().node()
}

#[remote]
fn filled(value: f64) -> Vec<f64> {
    vec![value; LARGE]
}

#[remote]
fn added(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

#[remote]
fn total(values: &[f64]) -> f64 {
    values.iter().sum()
}

#[remote]
fn square(n: u64) -> u64 {
    n * n
}

struct Source;

#[remote]
impl Source {
    fn new() -> Source {
        Source
    }

    fn numbers(&self, n: u64) -> impl Iterator<Item = u64> {
        0..n
    }

    fn blocks(&self, n: u32) -> impl Iterator<Item = Vec<f64>> {
        (0..n).map(|n| vec![f64::from(n); LARGE])
    }
}

struct Log(Vec<u32>);

#[remote]
impl Log {
    fn new() -> Log {
        Log(Vec::new())
    }

    fn push(&mut self, n: u32) -> usize {
        self.0.push(n);
        self.0.len()
    }

    fn all(&self) -> Vec<u32> {
        self.0.clone()
    }
}

#[mobula::test]
fn a_program_gives_the_same_results_with_a_delay_of_5_ms() {
    let (Some(cluster), Some(scripts)) = (cluster(), scripts()) else {
        return;
    };
    let Some(_delay) = Link::change(&scripts, ["delay", "5"], ["delay", "0"]) else {
        return;
    };
    let rt = start_on(&cluster);
    let nodes = [1, 2].map(|place| address_of(&scripts, place));
    let [here, there] = &nodes;
    calls_run_on(&rt, &nodes);
    let spawn = |n: u32| rt.spawn(doubled::remote(vec![f64::from(n); 100_000], 100));
    all_are_right((0..12).map(spawn).collect());
    results_go_from_node_to_node(&rt, here, there);
    streams_come_in_order(&rt, there);
    for node in &nodes {
        calls_of_an_actor_run_in_order(&rt, node);
    }
    results_of_a_map_come_in_order(&rt, there);
}

fn calls_run_on(rt: &Runtime, nodes: &[String]) {
    let nodes = nodes.iter().cycle().take(12);
    let calls: Vec<_> = nodes
        .map(|name| (name, rt.spawn(node::remote().node(name))))
        .collect();
    for (name, call) in calls {
        assert_eq!(call.get_timeout(LONG).unwrap(), *name);
    }
}

/// Large arrays cross the link in both directions.
fn results_go_from_node_to_node(rt: &Runtime, here: &str, there: &str) {
    let from_here = rt.spawn(filled::remote(1.0).node(here));
    let from_there = rt.spawn(filled::remote(2.0).node(there));
    let mut sum = rt.spawn(added::remote(&from_here, &from_there).node(there));
    for node in [here, there, here] {
        sum = rt.spawn(added::remote(&sum, &from_there).node(node));
    }
    let total_of_sum = rt.spawn(total::remote(&sum).node(there));
    assert_eq!(
        total_of_sum.get_timeout(LONG).unwrap(),
        9.0 * LARGE as f64,
        "a chain of calls"
    );
    assert!(sum.get_timeout(LONG).unwrap() == vec![9.0; LARGE]);
    assert!(from_there.get_timeout(LONG).unwrap() == vec![2.0; LARGE]);
    let mine = rt.put(&vec![0.5; LARGE]).unwrap();
    let total_of_mine = rt.spawn(total::remote(&mine).node(there));
    assert_eq!(
        total_of_mine.get_timeout(LONG).unwrap(),
        0.5 * LARGE as f64,
        "an array of the program"
    );
}

fn streams_come_in_order(rt: &Runtime, there: &str) {
    let source = rt.spawn_actor(Source::remote().node(there));
    let numbers = source.numbers(200).spawn();
    let numbers: Vec<u64> = numbers.collect::<mobula::Result<_>>().unwrap();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
    let blocks = source.blocks(4).spawn();
    let blocks: Vec<_> = blocks.collect::<mobula::Result<_>>().unwrap();
    assert_eq!(blocks.len(), 4);
    for (n, block) in (0..).zip(blocks) {
        assert!(block == vec![f64::from(n); LARGE], "block {n}");
    }
}

fn calls_of_an_actor_run_in_order(rt: &Runtime, node: &str) {
    let log = rt.spawn_actor(Log::remote().node(node));
    let calls: Vec<_> = (0..50).map(|n| log.push(n).spawn()).collect();
    for (n, call) in calls.iter().enumerate() {
        assert_eq!(call.get_timeout(LONG).unwrap(), n + 1, "on {node}");
    }
    let all = log.all().spawn().get_timeout(LONG).unwrap();
    assert_eq!(all, (0..50).collect::<Vec<_>>(), "on {node}");
}

fn results_of_a_map_come_in_order(rt: &Runtime, there: &str) {
    let right: Vec<_> = (0..300).map(|n| n * n).collect();
    let anywhere = rt.map((0..300).map(square::remote));
    assert_eq!(anywhere.get().unwrap(), right);
    let placed = rt.map((0..300).map(|n| square::remote(n).node(there)));
    assert_eq!(placed.get().unwrap(), right, "on {there}");
}
