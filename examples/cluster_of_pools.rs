//! Counts the primes below 20 million with a pool of workers on each node of a cluster.
//!
//! A call on a cluster costs milliseconds, and a call on one machine microseconds. So the program
//! makes few calls on the cluster. Each call asks for several cores of one node and starts a
//! runtime of its own there. That runtime divides the share into 125 calls of some 100
//! microseconds.
//!
//! The runtime on the node has threads as its workers. It reads arguments and results in the
//! process of the call, and ends with the call. `MOBULA_ENGINE` names the engine of the program
//! only. The engine of a runtime that a task starts is set by its builder.
//!
//! The program checks the number of primes against the known number. It also checks the sum of all
//! shares against the same calls in one runtime.
//!
//! `cargo run --release -p mobula-examples --example cluster_of_pools -- 4` takes four cores for
//! each pool. The default is two, or one where a node has only one.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mobula::{EngineKind, prelude::*};
use mobula_examples::{table, timed};
use serde::{Deserialize, Serialize};

const END: u64 = 20_000_000;

/// The number of primes below [`END`].
const KNOWN: u64 = 1_270_607;

/// The numbers that one call of a pool checks, and the calls of each pool.
const BLOCK: u64 = 20_000;
const CALLS: u64 = 125;

/// Counts the primes from `first` up to `first` + [`BLOCK`] by striking out multiples.
#[remote]
fn primes_of_block(first: u64) -> u64 {
    let mut composite = vec![false; BLOCK as usize];
    let end = first + BLOCK;
    let mut factor = 2;
    while factor * factor < end {
        let start = (first.div_ceil(factor) * factor).max(factor * factor);
        for multiple in (start..end).step_by(factor as usize) {
            composite[(multiple - first) as usize] = true;
        }
        factor += if factor == 2 { 1 } else { 2 };
    }
    let small = 2_u64.saturating_sub(first);
    composite.iter().filter(|composite| !**composite).count() as u64 - small
}

/// The result of one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Share {
    primes: u64,
    /// The round trip of an empty call in the pool, in microseconds.
    microseconds: f64,
}

#[remote]
fn nothing() {}

/// Counts the primes of [`CALLS`] blocks in a runtime of its own.
#[remote]
fn on_one_node(first: u64, cores: usize) -> mobula::Result<Share> {
    let threads = EngineKind::threads();
    let pool = Runtime::builder().engine(threads).workers(cores).start()?;
    let blocks = (0..CALLS).map(|block| first + block * BLOCK);
    let primes = pool.map(blocks.map(primes_of_block::remote)).get()?;
    const EMPTY: u32 = 1000;
    let began = Instant::now();
    for _ in 0..EMPTY {
        pool.spawn(nothing::remote()).get()?;
    }
    Ok(Share {
        primes: primes.iter().sum(),
        microseconds: began.elapsed().as_secs_f64() * 1e6 / f64::from(EMPTY),
    })
}

#[mobula::main]
fn main() -> Result<()> {
    let rt = Runtime::start()?;
    let cores = match std::env::args().nth(1) {
        Some(cores) => cores.parse().context("the argument is a number of cores")?,
        None => rt.workers().min(2),
    };
    let shares = (0..END).step_by((CALLS * BLOCK) as usize);
    let calls = shares.map(|first| on_one_node::remote(first, cores).num_cpus(cores as f64));
    let (shares, in_pools) = timed(|| rt.map(calls).get());
    let shares = shares?;

    let primes: u64 = shares.iter().map(|share| share.primes).sum();
    ensure!(
        primes == KNOWN,
        "{primes} primes below {END}, and not {KNOWN}"
    );
    let blocks = (0..END).step_by(BLOCK as usize);
    let (again, alone) = timed(|| rt.map(blocks.map(primes_of_block::remote)).get());
    ensure!(
        again?.iter().sum::<u64>() == primes,
        "one runtime counts others"
    );

    let mean = shares.iter().map(|share| share.microseconds).sum::<f64>() / shares.len() as f64;
    println!("{primes} primes below {END}, as is known.\n");
    let row = |name: String, calls: u64, took: Duration| {
        [
            name,
            calls.to_string(),
            format!("{:.2}", took.as_secs_f64()),
        ]
    };
    let pools = shares.len() as u64;
    let rows = [
        row(format!("{pools} pools of {cores}"), pools, in_pools),
        row("one runtime".to_owned(), END / BLOCK, alone),
    ];
    table::print(["", "calls of the program", "seconds"], rows);
    println!("\nAn empty call in a pool takes {mean:.1} us, there and back.");
    Ok(())
}
