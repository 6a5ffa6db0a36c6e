//! The cores that workers have, and the number of threads that their libraries start.

use std::{ffi::OsString, fs, path::Path, sync::Arc};

use mobula_protocol::{Error, Result};
use parking_lot::Mutex;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::config::Pin;

/// Variables that set how many threads a library starts.
const THREADS: [&str; 5] = [
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
];

/// Where Linux lists the nodes of memory, with their cores.
const NODES: &str = "/sys/devices/system/node";

/// The sets of cores that workers are pinned to.
#[derive(Debug)]
pub(in crate::engines::processes) struct Cores {
    sets: Vec<CpuSet>,
    /// How many workers have each set.
    taken: Mutex<Vec<usize>>,
}

/// A worker has one of the sets until this is dropped.
#[derive(Debug)]
pub(in crate::engines::processes) struct Place {
    cores: Arc<Cores>,
    set: usize,
}

/// This thread, and the processes that it starts, have certain cores until this is dropped. The
/// field contains the cores that the thread had before.
struct Pinned(CpuSet);

impl Cores {
    /// Returns the sets for this many workers, or `None` if workers are not pinned.
    ///
    /// # Errors
    /// The system does not say which cores there are, or does not let them be chosen.
    pub(in crate::engines::processes) fn of(
        pin: Option<Pin>,
        workers: usize,
    ) -> Result<Option<Arc<Cores>>> {
        let Some(pin) = pin else {
            return Ok(None);
        };
        let all = sched_getaffinity(None).map_err(|error| refused(&error))?;
        // A refusal shows now, and not when workers start.
        sched_setaffinity(None, &all).map_err(|error| refused(&error))?;
        let all: Vec<usize> = (0..CpuSet::MAX_CPU)
            .filter(|core| all.is_set(*core))
            .collect();
        let sets = match pin {
            Pin::Cores => shares(&all, workers),
            Pin::NumaNodes => nodes(Path::new(NODES), &all)?,
        };
        Ok(Some(Arc::new(Cores {
            taken: Mutex::new(vec![0; sets.len()]),
            sets: sets.iter().map(|set| cpu_set(set)).collect(),
        })))
    }

    /// Takes the set that the fewest workers have.
    fn take(self: &Arc<Cores>) -> Place {
        let mut taken = self.taken.lock();
        let fewest = taken.iter().zip(0..).min();
        let set = fewest.map_or(0, |(_, set)| set);
        taken[set] += 1;
        let cores = self.clone();
        Place { cores, set }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.cores.taken.lock()[self.set] -= 1;
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // The system allowed these cores before.
        let _ = sched_setaffinity(None, &self.0);
    }
}

/// Calls `start`, which starts a process, so that this process has cores of its own from its first
/// instruction on.
///
/// # Errors
/// `start` fails, or the system refuses the cores.
pub(super) fn start_on<R>(
    cores: Option<&Arc<Cores>>,
    start: impl FnOnce() -> Result<R>,
) -> Result<(R, Option<Place>)> {
    let Some(cores) = cores else {
        return Ok((start()?, None));
    };
    let place = cores.take();
    let before = sched_getaffinity(None).map_err(|error| refused(&error))?;
    sched_setaffinity(None, &cores.sets[place.set]).map_err(|error| refused(&error))?;
    let _pinned = Pinned(before);
    Ok((start()?, Some(place)))
}

/// Returns the variables with which the libraries of all workers start no more threads than there
/// are cores. Leaves out variables that are set already.
pub(super) fn threads(
    cores: usize,
    workers: usize,
    is_set: impl Fn(&OsString) -> bool,
) -> impl Iterator<Item = (&'static str, String)> {
    let threads = (cores / workers.max(1)).max(1).to_string();
    let unset = THREADS
        .into_iter()
        .filter(move |name| !is_set(&OsString::from(name)));
    unset.map(move |name| (name, threads.clone()))
}

fn refused(error: &rustix::io::Errno) -> Error {
    Error::setup(format!(
        "workers cannot be pinned to cores: {error}; leave out `Builder::pin`, or allow this program \
         the system calls `sched_getaffinity` and `sched_setaffinity`"
    ))
}

/// Returns an equal share of the cores for each worker. With more workers than cores, some share
/// one.
fn shares(all: &[usize], workers: usize) -> Vec<Vec<usize>> {
    let each = (all.len() / workers.max(1)).max(1);
    let shares = all.chunks_exact(each).take(workers);
    shares.map(<[usize]>::to_vec).collect()
}

/// Returns the cores of each node that this process may use.
fn nodes(place: &Path, all: &[usize]) -> Result<Vec<Vec<usize>>> {
    let unknown = |why: &dyn std::fmt::Display| {
        Error::setup(format!(
            "workers cannot be pinned to NUMA nodes: {}: {why}; pin them to cores (`Pin::Cores`), or \
             not at all",
            place.display()
        ))
    };
    let entries = fs::read_dir(place).map_err(|error| unknown(&error))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let numbers = names.filter_map(|name| name.strip_prefix("node")?.parse::<usize>().ok());
    let mut numbers: Vec<usize> = numbers.collect();
    numbers.sort_unstable();
    let mut nodes = Vec::new();
    for number in numbers {
        let list = place.join(format!("node{number}/cpulist"));
        let list = fs::read_to_string(list).map_err(|error| unknown(&error))?;
        let mut cores = cores_of(&list).ok_or_else(|| unknown(&format!("`{list}`")))?;
        cores.retain(|core| all.contains(core));
        if !cores.is_empty() {
            nodes.push(cores);
        }
    }
    match nodes.is_empty() {
        true => Err(unknown(&"it lists no core that this process may use")),
        false => Ok(nodes),
    }
}

/// Returns the numbers of a list such as `0-3,8`.
fn cores_of(list: &str) -> Option<Vec<usize>> {
    let mut cores = Vec::new();
    for part in list.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        cores.extend(first..=last.min(CpuSet::MAX_CPU));
    }
    Some(cores)
}

fn cpu_set(cores: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    for core in cores.iter().filter(|core| **core < CpuSet::MAX_CPU) {
        set.set(*core);
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_has_cores_of_its_own_as_far_as_there_are_enough() {
        assert_eq!(shares(&[0, 1, 2, 3], 2), [[0, 1], [2, 3]]);
        assert_eq!(shares(&[1, 4, 5, 7, 9], 2), [[1, 4], [5, 7]]);
        assert_eq!(shares(&[3, 5], 4), [[3], [5]]);
        assert_eq!(shares(&[3], 1), [[3]]);
    }

    #[test]
    fn a_new_worker_takes_the_place_of_one_that_has_ended() {
        let cores = Cores::of(Some(Pin::Cores), 1).unwrap().unwrap();
        let sets = vec![cpu_set(&[0]), cpu_set(&[1])];
        let cores = Arc::new(Cores {
            taken: Mutex::new(vec![0; 2]),
            sets: sets.into_iter().chain(cores.sets.clone()).take(2).collect(),
        });
        let (first, second) = (cores.take(), cores.take());
        assert_eq!((first.set, second.set), (0, 1));
        drop(second);
        assert_eq!(cores.take().set, 1);
    }

    #[test]
    fn nodes_are_read_from_the_systems_lists() {
        let place = std::env::temp_dir().join(format!("mobula-nodes-{}", std::process::id()));
        for (node, list) in [("node0", "0-2,8\n"), ("node1", "4\n"), ("node2", "\n")] {
            fs::create_dir_all(place.join(node)).unwrap();
            fs::write(place.join(node).join("cpulist"), list).unwrap();
        }
        let found = nodes(&place, &[0, 2, 4, 8, 9]);
        let none = nodes(&place, &[9]);
        fs::remove_dir_all(&place).unwrap();
        assert_eq!(found.unwrap(), [vec![0, 2, 8], vec![4]]);
        assert!(none.unwrap_err().to_string().contains("`Pin::Cores`"));
        assert!(nodes(&place, &[0]).unwrap_err().is_setup());
    }

    #[test]
    fn libraries_get_a_share_of_the_cores_unless_the_user_says_otherwise() {
        let set = threads(8, 3, |name| name == "OMP_NUM_THREADS");
        let set: Vec<_> = set.collect();
        assert_eq!(set.len(), 4);
        assert!(set.contains(&("RAYON_NUM_THREADS", "2".to_owned())));
        assert!(threads(2, 8, |_| false).all(|(_, threads)| threads == "1"));
    }
}
