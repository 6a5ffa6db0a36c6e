//! The common parts of the tests: runtimes, processes, nodes of their own.

use std::{
    collections::HashMap,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use mobula::{EngineKind, prelude::*};

/// A time that only a hang exceeds.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The address of a cluster, if there is one.
pub(crate) fn cluster() -> Option<String> {
    let address = std::env::var("MOBULA_TEST_RAY").ok();
    if address.is_none() {
        eprintln!(
            "skipped: $MOBULA_TEST_RAY names no Ray cluster; CONTRIBUTING.md says how to start one"
        );
    }
    address
}

/// A runtime on a cluster.
pub(crate) fn start_on(address: &str) -> Runtime {
    let engine = EngineKind::ray(address).unwrap();
    Runtime::builder().engine(engine).start().unwrap()
}

pub(crate) fn start() -> Option<Runtime> {
    cluster().map(|address| start_on(&address))
}

/// The scripts that start nodes, if they are there.
pub(crate) fn scripts() -> Option<PathBuf> {
    let scripts = std::env::var_os("MOBULA_TEST_RAY_SCRIPTS").map(PathBuf::from);
    if scripts.is_none() {
        eprintln!("skipped: $MOBULA_TEST_RAY_SCRIPTS is not set, as `.ci/ray` does");
    }
    scripts
}

/// The address of a place for nodes, and the name of a node there.
pub(crate) fn address_of(scripts: &Path, place: u32) -> String {
    let output = Command::new(scripts.join("ray_net"))
        .args(["address", &place.to_string()])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < LONG, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Returns whether a process runs. A zombie does not.
pub(crate) fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}

/// Ends processes at once.
pub(crate) fn kill(pids: &[u32]) {
    let pids = pids.iter().map(u32::to_string);
    let _ = Command::new("kill").arg("-KILL").args(pids).status();
}

/// Each process, and its parent.
fn parents() -> HashMap<u32, u32> {
    let mut parents = HashMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|pid| pid.parse().ok()) else {
            continue;
        };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let rest = stat.rsplit(") ").next().unwrap_or_default();
        if let Some(parent) = rest.split(' ').nth(1).and_then(|pid| pid.parse().ok()) {
            parents.insert(pid, parent);
        }
    }
    parents
}

/// A process and all that it has started, directly or not.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let parents = parents();
    let is_below = |mut pid: u32| {
        while pid != root {
            match parents.get(&pid) {
                Some(parent) => pid = *parent,
                None => return false,
            }
        }
        true
    };
    parents
        .keys()
        .copied()
        .filter(|pid| is_below(*pid))
        .collect()
}

/// The child of this process that connects it with Ray: Python.
pub(crate) fn helper_of(pid: u32) -> u32 {
    let is_helper = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("mobula_shim.py")
    };
    let parents = parents();
    let mut children = parents.iter().filter(|(_, parent)| **parent == pid);
    let helper = children.find(|(child, _)| is_helper(child));
    *helper.expect("the program has a helper").0
}

/// A node of a Ray cluster that belongs to the test.
pub(crate) struct Node {
    process: Child,
    /// Its address, as a runtime on it takes it.
    pub(crate) address: String,
}

impl Node {
    /// Joins a cluster.
    pub(crate) fn join(scripts: &Path, place: u32, cluster: &str) -> Node {
        let head = cluster.split('?').next().unwrap();
        Node::start(scripts, place, &["join", head], cluster.to_owned())
    }

    /// The head of a cluster of its own.
    pub(crate) fn head(scripts: &Path, place: u32) -> Node {
        let host = address_of(scripts, place);
        let free = std::net::TcpListener::bind((host.as_str(), 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let address = format!("{host}:{port}?node={host}");
        let node = Node::start(scripts, place, &["head", &port.to_string()], address);
        eventually("the head listens", || {
            std::net::TcpStream::connect((host.as_str(), port)).is_ok()
        });
        node
    }

    fn start(scripts: &Path, place: u32, how: &[&str], address: String) -> Node {
        let process = Command::new(scripts.join("ray_node"))
            .arg(place.to_string())
            .args(how)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        Node { process, address }
    }

    /// Whether this process is one of the node.
    pub(crate) fn has(&self, pid: u32) -> bool {
        tree(self.process.id()).contains(&pid)
    }

    /// Ends all of its processes at once, as a loss of power does.
    pub(crate) fn kill(&mut self) {
        kill(&tree(self.process.id()));
        let _ = self.process.wait();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            self.kill();
        }
    }
}

/// A folder that goes with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Folder {
        let name = format!("mobula-cluster-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// The names of the files in it.
    pub(crate) fn names(&self) -> Vec<String> {
        let files = std::fs::read_dir(&self.0).unwrap().flatten();
        files
            .map(|file| file.file_name().into_string().unwrap())
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
