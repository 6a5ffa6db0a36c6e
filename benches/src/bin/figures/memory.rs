//! Row 8: the memory of one array that many workers read.

use std::{collections::HashSet, process};

use mobula::prelude::*;
use mobula_benches::{
    processes,
    sampling::Summary,
    table::{Figure, Floor, Table, Unit},
};

use crate::{Options, Result};

/// The maximum number of rounds. A round has one task for each worker.
const ROUNDS: usize = 100;

/// Reads all numbers. Returns the process id and the sum.
#[remote]
fn reads(numbers: &[f64]) -> (u32, f64) {
    (process::id(), numbers.iter().sum())
}

pub(crate) fn measure(options: &Options) -> Result<Table> {
    let bytes = options.size(1_000_000_000, 100_000_000);
    let mut figures = Vec::new();
    for workers in [2, 4, 8] {
        let rt = Runtime::builder()
            .workers(workers)
            .store_capacity(bytes as u64 + (64 << 20))
            .start()?;
        let pids: HashSet<u32> = rt.worker_pids().into_iter().collect();
        let memory = || processes::memory(pids.iter().copied().chain([process::id()]));
        let before = memory()?;
        let array = rt.put_with(bytes / 8, |out: &mut [f64]| out.fill(1.0))?;
        let mut seen = HashSet::new();
        // Further rounds follow until each worker has run a task.
        for _ in 0..ROUNDS {
            for (pid, sum) in rt.get(rt.spawn_all((0..workers).map(|_| reads::remote(&array))))? {
                assert_eq!(sum, (bytes / 8) as f64, "a worker read something else");
                seen.insert(pid);
            }
            if pids.is_subset(&seen) {
                break;
            }
        }
        if !pids.is_subset(&seen) {
            return Err(format!(
                "after {ROUNDS} rounds {} of {workers} workers have had a task",
                seen.len()
            )
            .into());
        }
        let floor = Floor {
            name: "one array",
            value: bytes as f64,
        };
        let single = |name: &str, bytes: u64| {
            Figure::new(
                format!("{name}, {workers} workers"),
                Unit::Bytes,
                Summary::single(bytes as f64),
            )
        };
        figures.push(single("without the array", before));
        let added = memory()?.saturating_sub(before);
        figures.push(single("added, when each has read all", added).against(&[floor]));
    }
    Ok(Table {
        row: 8,
        title: "Memory of driver and workers together (proportional share)".into(),
        figures,
    })
}
