//! The settings of a runtime. They come from the environment, the builder and the machine.

mod machine;

use std::{ffi::OsString, path::PathBuf, sync::Arc, time::Duration};

use mobula_protocol::{Amount, Error, Result};
use mobula_store::limits;
use rustix::process::{Resource, getrlimit};

use crate::{
    current,
    engine_kind::{EngineKind, Kind},
    resources::{self, Totals},
};
use machine::{
    available_cores, cgroup_memory, cgroup_memory_with_swap, default_capacity, machine_memory,
};

/// The most workers of one runtime. Each takes some descriptors and a mailbox.
const MAX_WORKERS: usize = 4096;

/// The smallest capacity of a store, in bytes. With less, processes could hardly store one value
/// that is larger than inline values.
const MIN_CAPACITY: u64 = 1 << 20;

/// The longest `start_timeout`: one year, which acts like no limit. A sum with it does not overflow
/// the clock.
const LONGEST_START: Duration = Duration::from_secs(365 * 24 * 3600);

/// The default of `max_worker_deaths`: workers that die with a task before the task counts as the
/// cause.
const WORKER_DEATHS: u8 = 3;

/// The default of `detached_grace`: the time that the end of a runtime waits for detached tasks.
///
/// A task can write or send something in that time. If a task hangs, users can bear the wait.
const DETACHED_GRACE: Duration = Duration::from_secs(5);

/// The stack of tasks, in bytes, if the main thread's stack has no limit. It takes a small part of
/// the addresses that a process has.
const STACK_WITHOUT_LIMIT: u64 = 64 << 20;

/// The stack sizes that a program can set, in bytes.
const STACKS: std::ops::RangeInclusive<u64> = (64 << 10)..=(1 << 40);

/// The smallest `max_worker_rss`, in bytes.
const MIN_RSS: u64 = 1 << 20;

/// The driver's own segment takes at most an eighth of the addresses that a process may use. The
/// driver maps it twice.
const OWN_SHARE: u64 = 8;

/// The segments of workers and actors together take at most half of the addresses.
const WORKERS_SHARE: u64 = 2;

/// Actors with segments of the workers' size, in addition to one actor for each worker.
const ACTORS: u64 = 8;

/// With workers that are threads, one process counts on this many times the mappings of each
/// segment.
const MAPPINGS_IN_THREADS: u64 = 4;

/// The cores that each worker has: see [`Builder::pin`](crate::Builder::pin).
///
/// # Examples
/// ```
/// use mobula::{Pin, prelude::*};
///
/// #[remote]
/// fn cores() -> usize {
///     std::thread::available_parallelism().unwrap().get()
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// let workers = std::thread::available_parallelism().unwrap().get();
/// let rt = Runtime::builder().workers(workers).pin(Pin::Cores).start()?;
/// assert_eq!(rt.spawn(cores::remote()).get()?, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pin {
    /// Each worker has an equal share of the cores that this process may use, and no core of
    /// another worker. With more workers than cores, some workers share one.
    Cores,
    /// Each worker has the cores of one NUMA node, and the nodes have equally many workers.
    NumaNodes,
}

/// The settings of a runtime, all resolved.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) name: String,
    pub(crate) workers: usize,
    pub(crate) capacity: u64,
    /// The length of the driver's own segment, in bytes of addresses. `worker_segment` is the
    /// length of each worker's segment.
    pub(crate) own_segment: u64,
    pub(crate) worker_segment: u64,
    /// The stack of each thread that runs tasks, in bytes.
    pub(crate) stack: u64,
    pub(crate) env: Vec<(OsString, OsString)>,
    /// Where workers are, if not where this process is.
    pub(crate) directory: Option<PathBuf>,
    pub(crate) start_timeout: Duration,
    pub(crate) max_worker_deaths: u8,
    pub(crate) max_worker_rss: Option<u64>,
    pub(crate) max_pending: Option<usize>,
    pub(crate) report_unread_failures: bool,
    pub(crate) detached_grace: Duration,
    pub(crate) resources: Arc<Totals>,
    /// The number that is added to this process' niceness in workers.
    pub(crate) nice: u32,
    pub(crate) pin: Option<Pin>,
    pub(crate) kind: Kind,
}

/// The settings that the program has given.
#[derive(Clone, Debug, Default)]
pub(crate) struct BuilderOptions {
    pub(crate) name: Option<String>,
    pub(crate) workers: Option<usize>,
    pub(crate) capacity: Option<u64>,
    pub(crate) stack: Option<u64>,
    pub(crate) env: Vec<(OsString, OsString)>,
    /// Where workers are, if not where this process is.
    pub(crate) directory: Option<PathBuf>,
    pub(crate) start_timeout: Option<Duration>,
    pub(crate) max_worker_deaths: Option<u8>,
    pub(crate) max_pending: Option<usize>,
    pub(crate) report_unread_failures: Option<bool>,
    pub(crate) max_worker_rss: Option<u64>,
    pub(crate) detached_grace: Option<Duration>,
    pub(crate) cpus: Option<f64>,
    pub(crate) memory: Option<u64>,
    pub(crate) declared: Vec<(String, u32)>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) nice: Option<u32>,
    pub(crate) pin: Option<Pin>,
    pub(crate) kind: Option<Kind>,
}

impl BuilderOptions {
    /// Returns the settings with the defaults filled in. Environment variables override the
    /// options.
    ///
    /// # Errors
    /// A number is out of range or does not parse.
    pub(crate) fn resolve(self) -> Result<Config> {
        // The variables say how the program runs. They do not apply to a runtime that a task
        // starts.
        let program = |name| match current::in_task() {
            true => Ok(None),
            false => variable(name),
        };
        let kind = match program("MOBULA_ENGINE")? {
            Some(name) => name.parse::<EngineKind>()?.0,
            None => self.kind.unwrap_or_default(),
        };
        let workers = match program("MOBULA_WORKERS")? {
            Some(text) => Some(text.parse().map_err(|_| {
                Error::usage(format!("MOBULA_WORKERS is `{text}`, which is not a number"))
            })?),
            None => self.workers,
        };
        let workers = workers.unwrap_or_else(available_cores);
        if !(1..=MAX_WORKERS).contains(&workers) {
            return Err(Error::usage(format!(
                "a runtime has 1 to {MAX_WORKERS} workers, not {workers}"
            )));
        }
        let capacity = match variable("MOBULA_STORE_CAPACITY")? {
            Some(text) => Some(parse_bytes(&text).ok_or_else(|| {
                Error::usage(format!(
                    "MOBULA_STORE_CAPACITY is `{text}`; it is a whole number of bytes, or one with KiB, MiB, GiB (powers of 1024) or kB, MB, GB (powers of 1000) behind it"
                ))
            })?),
            None => self.capacity,
        };
        if let Some(wish) = capacity {
            fits_the_cgroup(wish, cgroup_memory_with_swap())?;
        }
        let addresses = limits::address_space_bytes();
        let capacity =
            capacity.unwrap_or_else(|| default_capacity().min(addresses / OWN_SHARE / 2));
        if capacity < MIN_CAPACITY {
            return Err(Error::usage(format!(
                "a store has at least {MIN_CAPACITY} bytes (1 MiB), not {capacity}"
            )));
        }
        let addresses = match &kind {
            Kind::Threads => addresses / MAPPINGS_IN_THREADS,
            _ => addresses,
        };
        let (own_segment, worker_segment) = segments(capacity, workers, addresses)?;
        let declared = resources::declare(self.declared)?;
        Ok(Config {
            name: self.name.unwrap_or_else(|| "mobula".to_owned()),
            workers,
            capacity,
            own_segment,
            worker_segment,
            stack: stack(self.stack)?,
            env: self.env,
            directory: self.directory,
            start_timeout: self
                .start_timeout
                .unwrap_or(Duration::from_secs(30))
                .min(LONGEST_START),
            max_worker_rss: max_rss(self.max_worker_rss)?,
            max_pending: max_pending(self.max_pending)?,
            report_unread_failures: self.report_unread_failures.unwrap_or(true),
            max_worker_deaths: self.max_worker_deaths.unwrap_or(WORKER_DEATHS).max(1),
            detached_grace: self.detached_grace.unwrap_or(DETACHED_GRACE),
            resources: Arc::new(Totals {
                cpus: cpus(self.cpus, workers)?,
                memory: Amount::whole(memory(self.memory, capacity)?),
                variables: resources::variables(self.variables, &declared)?,
                declared,
            }),
            nice: nice(self.nice)?,
            pin: self.pin,
            kind,
        })
    }
}

/// Returns the niceness that workers add.
///
/// # Errors
/// The wish is not in 0 to 19, so the system has no such niceness.
fn nice(wish: Option<u32>) -> Result<u32> {
    match wish.unwrap_or(0) {
        by @ 0..=19 => Ok(by),
        by => Err(Error::usage(format!(
            "`Builder::nice` takes a number from 0 to 19, not {by}"
        ))),
    }
}

/// Returns the cores that tasks share. Default: the number of workers.
///
/// # Errors
/// The wish is below 1 or is no amount.
fn cpus(wish: Option<f64>, workers: usize) -> Result<Amount> {
    match wish {
        None => Ok(Amount::whole(workers as u64)),
        Some(cpus) => Amount::new(cpus)
            .filter(|amount| *amount >= Amount::ONE && Amount::is_amount(cpus))
            .ok_or_else(|| {
                Error::usage(format!(
                    "`Builder::num_cpus` takes a number from 1 on, not {cpus}: a task without \
                     resources uses 1"
                ))
            }),
    }
}

/// Returns the bytes of memory that tasks share. Default: the memory that this process may have,
/// without the store's capacity.
///
/// # Errors
/// The wish is zero.
fn memory(wish: Option<u64>, capacity: u64) -> Result<u64> {
    match wish {
        None => {
            let all = machine_memory().min(cgroup_memory().unwrap_or(u64::MAX));
            Ok(all.saturating_sub(capacity).max(1))
        }
        Some(0) => Err(Error::usage(
            "`Builder::memory` takes a number of bytes above 0",
        )),
        Some(bytes) => Ok(bytes),
    }
}

fn variable(name: &str) -> Result<Option<String>> {
    match std::env::var(name) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Error::usage(format!("{name} is not text"))),
    }
}

/// Checks the capacity that the user asked for.
///
/// # Errors
/// The capacity is larger than all memory that the kernel lets this process have.
fn fits_the_cgroup(wish: u64, memory: Option<u64>) -> Result<()> {
    match memory {
        Some(memory) if wish > memory => Err(Error::usage(format!(
            "a store of {wish} bytes was asked for, but the memory limit of this process' cgroup is {memory} bytes: \
             the kernel would kill processes before the store is full; \
             lower `store_capacity` (or MOBULA_STORE_CAPACITY), or raise the container's limit"
        ))),
        _ => Ok(()),
    }
}

/// Returns the lengths of the driver's own segment and of each worker's.
///
/// Each is twice the capacity, or less if a process has too few addresses. So fragmentation costs
/// addresses, not memory.
///
/// # Errors
/// The driver's segment is smaller than the capacity, or a worker's is smaller than 1 MiB.
fn segments(capacity: u64, workers: usize, addresses: u64) -> Result<(u64, u64)> {
    let wanted = capacity.saturating_mul(2);
    let workers = u64::try_from(workers).unwrap_or(u64::MAX);
    let each = addresses / WORKERS_SHARE / workers.saturating_mul(2).saturating_add(ACTORS);
    let (own, each) = (wanted.min(addresses / OWN_SHARE), wanted.min(each));
    if own < capacity || each < MIN_CAPACITY {
        return Err(Error::resource_limit(format!(
            "a store of {capacity} bytes and {workers} workers do not fit into the {addresses} bytes of addresses that a process may use; \
             lower `store_capacity` (or MOBULA_STORE_CAPACITY), or raise `ulimit -v`"
        )));
    }
    Ok((own.next_multiple_of(4096), each.next_multiple_of(4096)))
}

/// Returns the most calls that may be pending.
///
/// # Errors
/// The wish is zero.
fn max_pending(wish: Option<usize>) -> Result<Option<usize>> {
    match wish {
        Some(0) => Err(Error::usage(
            "`max_pending` is at least 1, not 0: no call could ever be made",
        )),
        wish => Ok(wish),
    }
}

/// Returns the bytes of memory above which a worker is replaced.
///
/// # Errors
/// The wish is below 1 MiB, which is less than any process needs.
fn max_rss(wish: Option<u64>) -> Result<Option<u64>> {
    match wish {
        Some(bytes) if bytes < MIN_RSS => Err(Error::usage(format!(
            "`max_worker_rss` is at least {MIN_RSS} bytes (1 MiB), not {bytes}: no worker would run a second task"
        ))),
        wish => Ok(wish),
    }
}

/// Returns the stack of the threads that run tasks, in bytes. Default: the main thread's.
///
/// # Errors
/// The wish is out of range.
fn stack(wish: Option<u64>) -> Result<u64> {
    match wish {
        Some(bytes) if !STACKS.contains(&bytes) => Err(Error::usage(format!(
            "a stack has {} to {} bytes, not {bytes}",
            STACKS.start(),
            STACKS.end()
        ))),
        Some(bytes) => Ok(bytes),
        None => Ok(getrlimit(Resource::Stack)
            .current
            .map_or(STACK_WITHOUT_LIMIT, |limit| {
                limit.clamp(*STACKS.start(), *STACKS.end())
            })),
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &*text[digits.len()..].trim().to_ascii_lowercase() {
        "" | "b" => 1,
        "kib" | "k" => 1 << 10,
        "mib" | "m" => 1 << 20,
        "gib" | "g" => 1 << 30,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_parse_with_and_without_a_unit() {
        assert_eq!(parse_bytes("4096"), Some(4096));
        assert_eq!(parse_bytes("64MiB"), Some(64 << 20));
        assert_eq!(parse_bytes("2 GiB"), Some(2 << 30));
        assert_eq!(parse_bytes("10MB"), Some(10_000_000));
        assert_eq!(parse_bytes("3 kB"), Some(3000));
        assert_eq!(parse_bytes("1gb"), Some(1_000_000_000));
        assert_eq!(parse_bytes("99999999999G"), None);
        assert_eq!(parse_bytes("lots"), None);
        assert_eq!(parse_bytes(""), None);
        assert_eq!(parse_bytes("1.5G"), None);
    }

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        let error = BuilderOptions {
            workers: Some(0),
            ..BuilderOptions::default()
        }
        .resolve()
        .unwrap_err();
        assert!(
            error.is_usage() && error.to_string().contains("not 0"),
            "{error}"
        );
        let error = BuilderOptions {
            capacity: Some(5),
            ..BuilderOptions::default()
        }
        .resolve()
        .unwrap_err();
        assert!(
            error.is_usage() && error.to_string().contains("1 MiB"),
            "{error}"
        );
    }

    #[test]
    fn segments_fit_into_the_addresses_of_a_process() {
        let fit = |capacity: u64, workers: u64, addresses: u64| {
            let (own, each) = segments(capacity, workers as usize, addresses).unwrap();
            assert!(own >= capacity && each >= MIN_CAPACITY);
            // The driver maps its own segment twice, and each worker's once. A worker does
            // likewise.
            let workers_and_actors = 2 * workers + ACTORS;
            assert!(2 * own + workers_and_actors * each <= addresses);
            (own, each)
        };
        let (small, usual) = (6 << 30, 1 << 47);
        assert_eq!(fit(small, 2, usual), (2 * small, 2 * small));
        let (own, each) = fit(460 << 30, 192, usual);
        assert!(own == 920 << 30 && each >= 128 << 30);
        fit(460 << 30, 4096, usual);
        fit(256 << 20, 2, 4 << 30);
        let error = segments(8 << 30, 2, 4 << 30).unwrap_err();
        assert!(
            error.is_resource_limit() && error.to_string().contains("`ulimit -v`"),
            "{error}"
        );
    }

    #[test]
    fn a_store_beyond_the_limit_of_the_container_is_refused() {
        assert!(fits_the_cgroup(1 << 30, None).is_ok());
        assert!(fits_the_cgroup(1 << 28, Some(1 << 28)).is_ok());
        let error = fits_the_cgroup(1 << 30, Some(1 << 28)).unwrap_err();
        assert!(
            error.is_usage() && error.to_string().contains("`store_capacity`"),
            "{error}"
        );
    }

    #[test]
    fn stacks_out_of_range_are_refused() {
        assert_eq!(stack(Some(1 << 20)).unwrap(), 1 << 20);
        assert!(STACKS.contains(&stack(None).unwrap()));
        for wrong in [0, (64 << 10) - 1, u64::MAX] {
            assert!(stack(Some(wrong)).unwrap_err().is_usage());
        }
    }

    #[test]
    fn a_worker_may_have_some_memory() {
        assert_eq!(max_rss(None).unwrap(), None);
        assert_eq!(max_rss(Some(MIN_RSS)).unwrap(), Some(MIN_RSS));
        let error = max_rss(Some(0)).unwrap_err();
        assert!(
            error.is_usage() && error.to_string().contains("`max_worker_rss`"),
            "{error}"
        );
    }

    #[test]
    fn defaults_follow_the_machine() {
        let config = BuilderOptions::default().resolve().unwrap();
        assert_eq!(config.workers, available_cores());
        assert!(config.capacity >= MIN_CAPACITY && config.capacity <= machine_memory());
    }
}
