//! Merge sort by tasks that spawn tasks.
//!
//! A task gets a part of the array. It sorts a small part at once. It divides a large part into two
//! halves, spawns a task for each, and merges their results. Parts are passed by reference: a slice
//! of the array is a ref and a range, and no numbers travel. Sorted parts are built in the store,
//! so the merging task reads them in place. While a task waits for its halves, its worker runs
//! other tasks. So one worker is enough for any depth.
//!
//! The program compares the result with that of the standard library.
//!
//! `cargo run --release -p mobula-examples --example mergesort`

use anyhow::{Result, ensure};
use mobula::{Array, ArraySlice, prelude::*};
use mobula_examples::{Random, timed};

const NUMBERS: usize = 2_000_000;

/// One task sorts a part of up to this many numbers.
const LEAF: usize = 1 << 16;

#[remote]
fn sort(part: ArraySlice<u64>) -> mobula::Result<Array<u64>> {
    if part.len() <= LEAF {
        return Array::build(part.len(), |out| {
            out.copy_from_slice(&part);
            out.sort_unstable();
        });
    }
    let middle = part.len() / 2;
    let halves = [part.slice(..middle)?, part.slice(middle..)?];
    let halves = halves.map(|half| sort::remote(half).spawn());
    let sorted = Runtime::current()?.get(&halves)?;
    merge(&sorted[0], &sorted[1])
}

fn merge(a: &[u64], b: &[u64]) -> mobula::Result<Array<u64>> {
    Array::build(a.len() + b.len(), |out| {
        let (mut a, mut b) = (a, b);
        for out in out {
            let from = match (a.first(), b.first()) {
                (Some(left), Some(right)) if left <= right => &mut a,
                (Some(_), None) => &mut a,
                _ => &mut b,
            };
            // Together the two halves are as long as the result.
            if let Some((first, rest)) = from.split_first() {
                (*out, *from) = (*first, rest);
            }
        }
    })
}

/// Sorts these numbers by tasks, and checks the result.
fn check(rt: &Runtime, kind: &str, numbers: &[u64]) -> Result<()> {
    let stored = rt.put(numbers)?;
    let (sorted, by_tasks) = timed(|| rt.spawn(sort::remote(stored.slice(..)?)).get());
    let sorted = sorted?;
    let mut expected = numbers.to_vec();
    let ((), by_std) = timed(|| expected.sort());
    ensure!(
        sorted == expected,
        "{kind}: another order than that of the standard library"
    );
    let tasks = tasks(numbers.len());
    println!(
        "{:>9} numbers, {kind:<10} {tasks:>3} tasks, {:>6.1} ms ({:.1} ms by one thread)",
        numbers.len(),
        1e3 * by_tasks.as_secs_f64(),
        1e3 * by_std.as_secs_f64(),
    );
    Ok(())
}

/// Returns the number of tasks that sort this many numbers.
fn tasks(len: usize) -> usize {
    match len {
        0..=LEAF => 1,
        len => 1 + tasks(len / 2) + tasks(len - len / 2),
    }
}

#[mobula::main]
fn main() -> Result<()> {
    let rt = Runtime::start()?;
    let mut random = Random::new(7, 0);
    let mut numbers =
        |len: usize, below: u64| -> Vec<u64> { (0..len).map(|_| random.bits() % below).collect() };
    check(&rt, "any", &numbers(NUMBERS, u64::MAX))?;
    check(&rt, "repeated", &numbers(NUMBERS, 1_000))?;
    check(&rt, "ascending", &(0..NUMBERS as u64).collect::<Vec<_>>())?;
    check(
        &rt,
        "descending",
        &(0..NUMBERS as u64).rev().collect::<Vec<_>>(),
    )?;
    for len in [0, 1, 2, LEAF, LEAF + 1, 3 * LEAF + 5] {
        check(&rt, "any", &numbers(len, u64::MAX))?;
    }
    Ok(())
}
