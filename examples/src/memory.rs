//! How much memory a process has, and how much there is.

use std::fs::read_to_string;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The memory of a process, in bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Memory {
    /// All pages that it has touched; those that it shares with others count in full.
    pub resident: u64,
    /// The same, but a page that `n` processes share counts as `1/n` page in each of them: so the
    /// sum over processes is what they really take.
    pub proportional: u64,
}

impl Memory {
    /// That of the process with this id.
    ///
    /// # Errors
    /// There is no such process, or it is not ours to look at.
    pub fn of(pid: u32) -> Result<Memory> {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        Ok(Memory {
            resident: field(&text, "Rss:")?,
            proportional: field(&text, "Pss:")?,
        })
    }
}

/// How many bytes this machine can still give away without swapping.
///
/// # Errors
/// The system does not say.
pub fn available() -> Result<u64> {
    field(&read_to_string("/proc/meminfo")?, "MemAvailable:")
}

/// A number of KiB in a list of named numbers, in bytes.
fn field(text: &str, name: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    let kib: u64 = number.with_context(|| format!("no `{name}`"))?.parse()?;
    Ok(kib * 1024)
}
