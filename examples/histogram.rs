//! How often does each value occur among a hundred million? All tasks read the values in place,
//! each task its share. There are two ways to count:
//!
//! - Each task counts into memory of its own and returns the counts, and the driver adds them up.
//!   That needs the counters once per task. The addition takes longer with more counters.
//! - All tasks count into one array of atomics in shared memory. There is nothing to return or add,
//!   and any process can read the counts meanwhile. An atomic addition costs more than a plain one.
//!   It costs much more if two cores want the same cache line at the same time, which is frequent
//!   with few counters.
//!
//! So there are two tables: one for few counters, one for many. All ways give the same counts as
//! one loop in this process.
//!
//! `cargo run --release -p mobula-examples --example histogram [-- --small]`

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use anyhow::{Result, ensure};
use mobula::{Array, AtomicArray, prelude::*};
use mobula_examples::{
    Random,
    compare::{Times, faster, shown, small},
    table, timed,
};

/// The number of times that all ways are measured, in turn.
const REPETITIONS: usize = 3;

/// Returns the counter of a value: its first bits, since all values are equally likely.
fn counter(value: u32, bits: u32) -> usize {
    (value >> (u32::BITS - bits)) as usize
}

#[remote]
fn count_apart(values: &[u32], share: Range<usize>, bits: u32) -> Vec<u64> {
    let mut counts = vec![0; 1 << bits];
    for value in &values[share] {
        counts[counter(*value, bits)] += 1;
    }
    counts
}

#[remote]
fn count_together(values: &[u32], share: Range<usize>, bits: u32, counts: &AtomicArray<AtomicU64>) {
    let counts: &[AtomicU64] = counts;
    for value in &values[share] {
        counts[counter(*value, bits)].fetch_add(1, Relaxed);
    }
}

/// Returns one share for each worker.
fn shares(values: usize, workers: usize) -> impl Iterator<Item = Range<usize>> {
    (0..workers).map(move |n| values * n / workers..values * (n + 1) / workers)
}

fn apart(rt: &Runtime, values: &ObjectRef<Array<u32>>, len: usize, bits: u32) -> Result<Vec<u64>> {
    let calls = shares(len, rt.workers()).map(|share| count_apart::remote(values, share, bits));
    let mut sum = vec![0; 1 << bits];
    for counts in rt.spawn_all(calls) {
        // `view` reads the counts in place. `get` would copy them.
        let counts = counts.view()?;
        sum.iter_mut()
            .zip(&counts[..])
            .for_each(|(sum, count)| *sum += count);
    }
    Ok(sum)
}

fn together(
    rt: &Runtime,
    values: &ObjectRef<Array<u32>>,
    len: usize,
    bits: u32,
) -> Result<Vec<u64>> {
    let counts = rt.atomic_array::<AtomicU64>(1 << bits)?;
    let calls =
        shares(len, rt.workers()).map(|share| count_together::remote(values, share, bits, &counts));
    rt.get(rt.spawn_all(calls))?;
    Ok(counts.to_vec())
}

/// Counts in all ways, and compares the results. Returns the lines of the table.
fn measure(rt: &Runtime, values: &ObjectRef<Array<u32>>, bits: u32) -> Result<[[String; 4]; 3]> {
    let view = values.view()?;
    let len = view.len();
    let mut times: [Times; 3] = Default::default();
    let [one_loop, own, shared] = &mut times;
    for _ in 0..REPETITIONS {
        let expected = one_loop.time(|| count_apart(&view, 0..len, bits));
        ensure!(
            expected.iter().sum::<u64>() == len as u64,
            "a value was not counted"
        );
        ensure!(
            own.time(|| apart(rt, values, len, bits))? == expected,
            "the sum of the histograms is wrong"
        );
        ensure!(
            shared.time(|| together(rt, values, len, bits))? == expected,
            "the atomics are wrong"
        );
    }
    let medians = times.map(|times| times.median());
    let counters = |histograms: usize| format!("{} KiB", (histograms << bits) * 8 / 1024);
    let workers = rt.workers();
    let row = |name: &str, seconds, histograms| {
        [
            name.to_owned(),
            shown(seconds),
            faster(medians[0], seconds),
            counters(histograms),
        ]
    };
    Ok([
        row("one loop", medians[0], 1),
        row("histograms of tasks, added up", medians[1], workers + 1),
        row("one array of atomics", medians[2], 1),
    ])
}

#[mobula::main]
fn main() -> Result<()> {
    let len = if small()? { 4_000_000 } else { 100_000_000 };
    let rt = Runtime::start()?;
    let (values, time) = timed(|| {
        rt.put_with(len, |values: &mut [u32]| {
            let mut random = Random::new(3, 0);
            for pair in values.chunks_mut(2) {
                let bits = random.bits();
                pair[0] = bits as u32;
                if let Some(second) = pair.get_mut(1) {
                    *second = (bits >> 32) as u32;
                }
            }
        })
    });
    let values = values?;
    println!(
        "{len} values made in the store in {time:.2?}; {} workers, medians of {REPETITIONS}",
        rt.workers()
    );
    for bits in [8, 20] {
        println!("\n{} counters:", 1 << bits);
        let headings = ["", "time", "times as fast", "memory for counters"];
        table::print(headings, measure(&rt, &values, bits)?);
    }
    println!("\nAll counts are equal.");
    Ok(())
}
