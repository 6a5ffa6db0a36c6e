//! The machine that this process runs on, as its runtime names it.

use std::{fmt, sync::OnceLock, thread};

static IN_CLUSTER: OnceLock<String> = OnceLock::new();

/// Returns the name of this machine in its runtime: the host name. In a cluster it is the name that
/// [`set_node`] got.
pub fn node() -> String {
    match IN_CLUSTER.get() {
        Some(name) => name.clone(),
        None => rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
    }
}

/// Sets the name that a cluster gives this machine. A process belongs to one cluster, so a second
/// call changes nothing.
pub fn set_node(name: String) {
    let _ = IN_CLUSTER.set(name);
}

/// A process, as errors name it: its id, and its machine if that belongs to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessName<'a> {
    pid: u32,
    node: Option<&'a str>,
}

impl ProcessName<'static> {
    /// Returns the name of this process.
    pub fn own() -> ProcessName<'static> {
        ProcessName {
            pid: std::process::id(),
            node: IN_CLUSTER.get().map(String::as_str),
        }
    }
}

impl<'a> ProcessName<'a> {
    /// Returns the name of a process on this machine of a cluster.
    pub fn of(pid: u32, node: &'a str) -> ProcessName<'a> {
        let node = Some(node);
        ProcessName { pid, node }
    }
}

impl From<u32> for ProcessName<'_> {
    fn from(pid: u32) -> Self {
        ProcessName { pid, node: None }
    }
}

impl fmt::Display for ProcessName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}", self.pid)?;
        match self.node {
            Some(node) => write!(f, " on node {node}"),
            None => Ok(()),
        }
    }
}

/// A machine of a runtime.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeInfo {
    /// The name that calls are placed by.
    pub name: String,
    /// How many cores the runtime may use there.
    pub cpus: f64,
    /// Whether the program that started the runtime is there.
    pub is_own: bool,
}

impl NodeInfo {
    /// Returns this machine, for a runtime that has no other.
    pub fn of_this_machine() -> NodeInfo {
        NodeInfo {
            name: node(),
            cpus: thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64),
            is_own: true,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_named_with_its_node_in_a_cluster_only() {
        assert_eq!(ProcessName::from(17).to_string(), "pid 17");
        let there = ProcessName {
            pid: 17,
            node: Some("10.0.0.3"),
        };
        assert_eq!(there.to_string(), "pid 17 on node 10.0.0.3");
        let own = format!("pid {}", std::process::id());
        assert_eq!(ProcessName::own().to_string(), own);
    }

    #[test]
    fn a_machine_has_a_name_without_a_cluster() {
        assert!(!node().is_empty());
    }
}
