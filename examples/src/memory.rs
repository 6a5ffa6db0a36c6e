//! The memory of processes and of the machine.

use std::fs::read_to_string;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The memory of a process, in bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Memory {
    /// All pages that the process has touched. Shared pages count in full.
    pub resident: u64,
    /// All pages, but a page that `n` processes share counts as `1/n` page in each. So the sum over
    /// processes is their real memory.
    pub proportional: u64,
}

impl Memory {
    /// Returns the memory of the process with this id.
    ///
    /// # Errors
    /// There is no such process, or the user may not inspect it.
    pub fn of(pid: u32) -> Result<Memory> {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        Ok(Memory {
            resident: field(&text, "Rss:")?,
            proportional: field(&text, "Pss:")?,
        })
    }
}

/// Returns the bytes of memory that are available without swapping.
///
/// # Errors
/// The system does not tell.
pub fn available() -> Result<u64> {
    field(&read_to_string("/proc/meminfo")?, "MemAvailable:")
}

/// Returns a number from a list of named numbers in KiB, in bytes.
fn field(text: &str, name: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    let kib: u64 = number.with_context(|| format!("no `{name}`"))?.parse()?;
    Ok(kib * 1024)
}
