//! How a runtime is set up: what the builder says, what the environment overrides, what the
//! machine suggests.

use std::{ffi::OsString, time::Duration};

use mobula_worker::{Error, Result};

/// Most workers that one runtime may have: each takes some descriptors and a mailbox.
const MAX_WORKERS: usize = 4096;

/// The least store that makes sense: one extent that is larger than inline values, per process.
const MIN_CAPACITY: u64 = 1 << 20;

/// As good as no limit, and far from the end of the clock.
const LONGEST_START: Duration = Duration::from_secs(365 * 24 * 3600);

/// How many workers may die with a task before it counts as the cause, by default.
const WORKER_DEATHS: u8 = 3;
/// How long the end of a runtime waits for detached tasks by default: long enough for some writing or
/// sending, and bearable where one of them hangs.
const DETACHED_GRACE: Duration = Duration::from_secs(5);

/// The share of the machine's memory that the store takes by default: 30 %.
const SHARE: (u64, u64) = (3, 10);

/// What runs the tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Processes,
    /// Nothing does; for measurements, see `driver/null.rs`.
    NullThreads,
    /// The same, without threads.
    NullHere,
}

/// The settings of a runtime, all decided.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) name: String,
    pub(crate) workers: usize,
    pub(crate) capacity: u64,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) start_timeout: Duration,
    pub(crate) max_worker_deaths: u8,
    pub(crate) detached_grace: Duration,
    pub(crate) kind: Kind,
}

/// The settings of a runtime, as far as they were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) name: Option<String>,
    pub(crate) workers: Option<usize>,
    pub(crate) capacity: Option<u64>,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) start_timeout: Option<Duration>,
    pub(crate) max_worker_deaths: Option<u8>,
    pub(crate) detached_grace: Option<Duration>,
    pub(crate) kind: Kind,
}

impl Wishes {
    /// Fills in what was not given; the environment comes before the builder.
    ///
    /// # Errors
    /// A number is out of range or does not parse.
    pub(crate) fn decide(self) -> Result<Config> {
        let workers = match variable("MOBULA_WORKERS")? {
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
                    "MOBULA_STORE_CAPACITY is `{text}`; it is a number of bytes, or one with KiB, MiB or GiB behind it"
                ))
            })?),
            None => self.capacity,
        };
        let capacity = capacity.unwrap_or_else(default_capacity);
        if capacity < MIN_CAPACITY {
            return Err(Error::usage(format!(
                "a store has at least {MIN_CAPACITY} bytes (1 MiB), not {capacity}"
            )));
        }
        Ok(Config {
            name: self.name.unwrap_or_else(|| "mobula".to_owned()),
            workers,
            capacity,
            env: self.env,
            start_timeout: self
                .start_timeout
                .unwrap_or(Duration::from_secs(30))
                .min(LONGEST_START),
            max_worker_deaths: self.max_worker_deaths.unwrap_or(WORKER_DEATHS).max(1),
            detached_grace: self.detached_grace.unwrap_or(DETACHED_GRACE),
            kind: self.kind,
        })
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

/// `std` counts the cores that affinity and the cgroup's quota leave to this process.
fn available_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// 30 % of what memory this process may have. Where `/dev/shm` holds somewhat less than that, it
/// is the bound; where it holds much less (containers often give it 64 MiB), anonymous memory
/// takes its place and the bound does not count.
fn default_capacity() -> u64 {
    let memory = machine_memory().min(cgroup_memory().unwrap_or(u64::MAX));
    let share = (memory / SHARE.1 * SHARE.0).max(MIN_CAPACITY);
    match mobula_store::shared_memory_free() {
        Some(free) if free >= share / 2 => share.min(free),
        _ => share,
    }
}

fn machine_memory() -> u64 {
    let info = rustix::system::sysinfo();
    let unit = u64::from(info.mem_unit.max(1));
    #[allow(clippy::unnecessary_cast)] // The field's width depends on the platform.
    let total = info.totalram as u64;
    total.saturating_mul(unit)
}

/// The tightest memory limit of this process' cgroup and those above it, version 2 or 1.
fn cgroup_memory() -> Option<u64> {
    let membership = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let mut limit = None;
    for line in membership.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        let mut group = Some(std::path::Path::new(path.trim_start_matches('/')));
        while let Some(path) = group {
            let text = std::fs::read_to_string(std::path::Path::new(root).join(path).join(file));
            if let Some(bytes) = text.ok().and_then(|text| text.trim().parse::<u64>().ok()) {
                limit = Some(limit.map_or(bytes, |l: u64| l.min(bytes)));
            }
            group = path.parent();
        }
    }
    limit
}

fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].trim() {
        "" | "B" => 1,
        "KiB" | "K" => 1 << 10,
        "MiB" | "M" => 1 << 20,
        "GiB" | "G" => 1 << 30,
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
        assert_eq!(parse_bytes("99999999999G"), None);
        assert_eq!(parse_bytes("lots"), None);
        assert_eq!(parse_bytes(""), None);
        assert_eq!(parse_bytes("1.5G"), None);
    }

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        let error = Wishes {
            workers: Some(0),
            ..Wishes::default()
        }
        .decide()
        .unwrap_err();
        assert!(
            error.is_usage() && error.to_string().contains("not 0"),
            "{error}"
        );
        let error = Wishes {
            capacity: Some(5),
            ..Wishes::default()
        }
        .decide()
        .unwrap_err();
        assert!(
            error.is_usage() && error.to_string().contains("1 MiB"),
            "{error}"
        );
    }

    #[test]
    fn defaults_follow_the_machine() {
        let config = Wishes::default().decide().unwrap();
        assert_eq!(config.workers, available_cores());
        assert!(config.capacity >= MIN_CAPACITY && config.capacity <= machine_memory());
    }
}
