//! A map of twenty large arrays (1.6 GB), put into the store and read by all workers.
//!
//! The store keeps each `Array` of a value apart. So a fetch of the map costs the decoding of
//! twenty keys, for any size of the arrays. All processes share one copy of the arrays.
//!
//! `put` copies arrays from private memory once. A copy into memory that the store has used before
//! is faster, since the system must clear new memory first. `put` does not copy arrays that were
//! built in the store.
//!
//! `cargo run --release -p mobula-examples --example arrays_in_a_map [-- --elements N]`
//!
//! The program needs twice the size of the arrays in free memory. The store needs that size once.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use mobula::{Array, prelude::*};
use mobula_examples::{
    memory::{self, Memory},
    table, timed,
};
use serde::{Deserialize, Serialize};

const ARRAYS: u32 = 20;

type Arrays = BTreeMap<u32, Array<f64>>;

/// The findings of a task.
#[derive(Serialize, Deserialize)]
struct Reading {
    /// The time until the task had the map and its arrays.
    get: Duration,
    /// The time until the task had added up all elements.
    scan: Duration,
    sums: Vec<f64>,
}

#[remote]
fn read(arrays: ObjectRef<Arrays>) -> mobula::Result<Reading> {
    let (arrays, get) = timed(|| arrays.get());
    let arrays = arrays?;
    let (sums, scan) = timed(|| sums(&arrays));
    Ok(Reading { get, scan, sums })
}

fn sums(arrays: &Arrays) -> Vec<f64> {
    arrays.values().map(|array| array.iter().sum()).collect()
}

/// Fills the elements with whole numbers, whose sums are exact in any order.
fn fill(number: u32, elements: &mut [f64]) {
    for part in elements.chunks_mut(1000) {
        part.iter_mut()
            .zip(0..)
            .for_each(|(element, n)| *element = f64::from(number + n));
    }
}

fn expected(elements: usize) -> Vec<f64> {
    let below = |n: usize| (n * n.saturating_sub(1) / 2) as f64;
    let one = (elements / 1000) as f64 * below(1000) + below(elements % 1000);
    (0..ARRAYS)
        .map(|number| f64::from(number) * elements as f64 + one)
        .collect()
}

#[mobula::main]
fn main() -> Result<()> {
    let elements = elements()?;
    let bytes = u64::from(ARRAYS) * elements as u64 * 8;
    let rt = Runtime::start()?;
    check_room(&rt, bytes)?;
    println!(
        "{ARRAYS} arrays of {elements} elements: {:.2} GB",
        gb(bytes)
    );
    let mut rows = vec![row(&rt, "at the start")?];

    println!("\nBuilt in private memory:");
    let private = |n| {
        let mut elements = vec![0.0; elements];
        fill(n, &mut elements);
        (n, Array::from(elements))
    };
    let (arrays, time) = timed(|| (0..ARRAYS).map(private).collect::<Arrays>());
    say("build", time, bytes);
    let (object, time) = timed(|| rt.put(&arrays));
    say("put, a copy into fresh memory", time, bytes);
    drop(object?);
    let (object, time) = timed(|| rt.put(&arrays));
    say("put again, into used memory", time, bytes);
    let object = object?;
    drop(arrays);
    rows.push(row(&rt, "after the put")?);
    check_readings(&rt, &object, elements)?;
    rows.push(row(&rt, "all have read all")?);
    drop(object);

    println!("\nBuilt in the store, in used memory:");
    let shared = |n| Ok((n, Array::build(elements, |array| fill(n, array))?));
    let (arrays, time) = timed(|| (0..ARRAYS).map(shared).collect::<mobula::Result<Arrays>>());
    say("build", time, bytes);
    let arrays = arrays?;
    let (object, time) = timed(|| rt.put(&arrays));
    say("put, without a copy", time, 0);
    check_readings(&rt, &object?, elements)?;

    println!("\nMemory in MB: what a process has touched, in brackets its share of it:");
    table::print(["", "driver", "each worker", "all together"], rows);
    println!("\nAll sums are right.");
    Ok(())
}

/// Reads the map in one task per worker at the same time, and in this process.
fn check_readings(rt: &Runtime, object: &ObjectRef<Arrays>, elements: usize) -> Result<()> {
    let workers = rt.workers();
    let readings = rt.get(rt.spawn_all((0..workers).map(|_| read::remote(object))))?;
    let bytes = u64::from(ARRAYS) * elements as u64 * 8;
    say("get in a task", readings[0].get, 0);
    say("add all up in a task", readings[0].scan, bytes);
    let (arrays, time) = timed(|| object.get());
    say("get in the driver", time, 0);
    for sums in readings
        .into_iter()
        .map(|reading| reading.sums)
        .chain([sums(&arrays?)])
    {
        ensure!(sums == expected(elements), "wrong sums: {sums:?}");
    }
    Ok(())
}

/// Prints a line about `bytes` that took `time`. With 0 bytes the line has no rate.
fn say(what: &str, time: Duration, bytes: u64) {
    let rate = match bytes {
        0 => String::new(),
        _ => format!("{:8.2} GB/s", gb(bytes) / time.as_secs_f64()),
    };
    println!("  {what:<30} {:>10}{rate}", format!("{time:.2?}"));
}

fn gb(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

/// Returns the present memory of the driver and of the workers.
fn row(rt: &Runtime, when: &str) -> Result<[String; 4]> {
    let driver = Memory::of(std::process::id())?;
    let workers = rt
        .worker_pids()
        .into_iter()
        .map(Memory::of)
        .collect::<Result<Vec<_>>>()?;
    let most = workers
        .iter()
        .max_by_key(|worker| worker.resident)
        .context("no worker lives")?;
    let all = driver.proportional
        + workers
            .iter()
            .map(|worker| worker.proportional)
            .sum::<u64>();
    let mb = |bytes: u64| bytes / 1_000_000;
    let text = |memory: &Memory| format!("{} ({})", mb(memory.resident), mb(memory.proportional));
    Ok([
        when.to_owned(),
        text(&driver),
        text(most),
        format!("({})", mb(all)),
    ])
}

fn elements() -> Result<usize> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(10_000_000),
        ["--elements", number] => number.parse().context("--elements takes a number"),
        _ => bail!("usage: arrays_in_a_map [--elements N]"),
    }
}

fn check_room(rt: &Runtime, bytes: u64) -> Result<()> {
    let (capacity, available) = (gb(rt.store().capacity_bytes()), gb(memory::available()?));
    let (once, twice) = (gb(bytes), 2.0 * gb(bytes));
    ensure!(
        once <= capacity,
        "the arrays take {once:.2} GB, the store may hold {capacity:.2} GB: \
         set MOBULA_STORE_CAPACITY, or run with `--elements N` for smaller arrays",
    );
    ensure!(
        twice <= available,
        "this takes {twice:.2} GB of memory, {available:.2} GB are free: \
         run with `--elements N` for smaller arrays",
    );
    Ok(())
}
