//! Rows of heat on a plate. Its bands need each other's edges after each step.

use std::{
    convert::Infallible,
    sync::{Barrier, Mutex, atomic::AtomicU64},
};

use mobula::{AtomicArray, AtomicF64, SharedArray, SharedBarrier, prelude::*};
use mobula_benches::{
    plate::Plate,
    sampling::{Sampler, timed},
};

use super::{
    super::{Out, WORKERS, runtime_for},
    clocked, gather, on_threads,
};
use crate::Result;

const PLATE: Plate = Plate {
    size: 2048,
    bands: WORKERS,
};

type Grids = [SharedArray<f64>; 2];

#[remote]
fn step(from: &mut [f64], to: &mut [f64], above: &mut [f64], below: &mut [f64]) {
    PLATE.step(from, to);
    above.copy_from_slice(&to[..above.len()]);
    below.copy_from_slice(&to[to.len() - below.len()..]);
}

/// Computes all steps of one band. Returns the seconds from the moment at which all bands are
/// ready.
#[remote]
fn steps(
    band: usize,
    even: &mut [f64],
    odd: &mut [f64],
    edges: &AtomicArray<AtomicF64>,
    arrived: &AtomicArray<AtomicU64>,
    barrier: &SharedBarrier,
    count: usize,
) -> mobula::Result<f64> {
    gather(arrived);
    let meet = || barrier.wait().map(drop);
    let (_, time) = clocked(|| PLATE.steps(band, [even, odd], edges, count, meet))?;
    Ok(time.as_secs_f64())
}

pub(super) fn measure(out: &Out) -> Result<()> {
    // With an even number of steps, the result is in the first grid.
    let count = out.size(20, 4);
    let len = PLATE.elements();
    let rt = runtime_for(3 * len * size_of::<f64>())?;
    let grids = [rt.shared_array(len, 0.0)?, rt.shared_array(len, 0.0)?];
    let mut private = [vec![0.0; len], vec![0.0; len]];
    let plan = out.slow(5, 3.0);
    let mut samplers: [Sampler; 3] = std::array::from_fn(|_| Sampler::new(plan));
    let [calls, barrier, threads] = &mut samplers;
    while calls.more() {
        private.iter_mut().for_each(|grid| PLATE.begin(grid));
        threads.add(of_threads(&mut private, count)? / count as f64);
        begin(&grids)?;
        barrier.add(with_barrier(&rt, &grids, count)? / count as f64);
        check(&grids, &private[0])?;
        begin(&grids)?;
        calls.add(by_calls(&grids, count)? / count as f64);
        check(&grids, &private[0])?;
    }
    let [calls, barrier, threads] = samplers.map(Sampler::summary);
    let note = format!("checksum {:016x}", PLATE.checksum(&private[0]));
    out.row_with("heat_barrier", barrier, note);
    out.row("heat_calls", calls);
    out.floor("threads_heat", threads);
    Ok(())
}

fn begin(grids: &Grids) -> mobula::Result<()> {
    grids
        .iter()
        .try_for_each(|grid| grid.with_mut(|grid| PLATE.begin(grid)))
}

fn check(grids: &Grids, expected: &[f64]) -> Result<()> {
    let same = |grid: &[f64]| {
        let mut bands = (0..PLATE.bands).map(|band| PLATE.own(band));
        bands.all(|own| grid[own.clone()] == expected[own])
    };
    match grids[0].with(same)? {
        true => Ok(()),
        false => Err("the plate is not what it is in threads".into()),
    }
}

/// Returns the seconds of all steps, with two calls for each step.
fn by_calls(grids: &Grids, count: usize) -> Result<f64> {
    let [mut from, mut to] = [&grids[0], &grids[1]];
    let mut incomplete = Vec::new();
    let (_, time) = clocked(|| {
        for _ in 0..count {
            let blocks = from.split_mut((0..PLATE.bands).map(|band| PLATE.block(band)))?;
            for (band, block) in blocks.into_iter().enumerate() {
                let [above, below] = PLATE.shown(band);
                let own = to.part_mut(PLATE.own(band))?;
                let [above, below] = [to.part_mut(above)?, to.part_mut(below)?];
                step::remote(block, own, above, below).spawn().detach();
            }
            incomplete.append(&mut to.settle()?);
            incomplete.append(&mut from.settle()?);
            (from, to) = (to, from);
        }
        Ok::<_, mobula::Error>(())
    })?;
    match incomplete.first() {
        None => Ok(time.as_secs_f64()),
        Some(incomplete) => Err(incomplete.to_string().into()),
    }
}

/// Returns the seconds of all steps, with one call for each band.
fn with_barrier(rt: &Runtime, grids: &Grids, count: usize) -> Result<f64> {
    let edges = rt.atomic_array(PLATE.edges())?;
    let arrived = rt.atomic_array(1)?;
    let barrier = rt.shared_barrier(PLATE.bands)?;
    let blocks = || (0..PLATE.bands).map(|band| PLATE.block(band));
    let parts = grids[0].split_mut(blocks())?.into_iter();
    let parts = parts.zip(grids[1].split_mut(blocks())?).enumerate();
    let calls = parts.map(|(band, (even, odd))| {
        steps::remote(band, even, odd, &edges, &arrived, &barrier, count)
    });
    let seconds = rt.get(rt.spawn_all(calls))?;
    Ok(seconds.into_iter().fold(0.0, f64::max))
}

fn of_threads(grids: &mut [Vec<f64>; 2], count: usize) -> Result<f64> {
    let [even, odd] = grids;
    let edges: Vec<AtomicF64> = (0..PLATE.edges()).map(|_| AtomicF64::new(0.0)).collect();
    let barrier = Barrier::new(PLATE.bands);
    let block = PLATE.block(0).len();
    let blocks = even.chunks_mut(block).zip(odd.chunks_mut(block));
    let blocks: Vec<_> = blocks.map(Mutex::new).collect();
    let seconds = on_threads(|band| {
        let Ok(mut blocks) = blocks[band].lock() else {
            return f64::NAN;
        };
        let (even, odd) = &mut *blocks;
        let meet = || {
            barrier.wait();
            Ok::<_, Infallible>(())
        };
        let Ok(()) = meet();
        timed(|| PLATE.steps(band, [even, odd], &edges, count, meet))
    })?;
    Ok(seconds.into_iter().fold(0.0, f64::max))
}
