//! Heat spreads over a plate: in each step, each point of a grid moves towards the mean of its four
//! neighbours. Two grids take turns: a step reads one grid and writes the other.
//!
//! Each worker has a band of rows. A step of a band needs the neighbouring rows: the last row of
//! the band above and the first row of the band below. It needs them as they were before the step.
//! But a part of a shared array belongs to one call, and no other call can read it. So each band
//! has copies of these two rows around its own rows: its ghost rows. The two modes differ in the
//! writer of the ghost rows:
//!
//! - A call per band and step, with a `settle` after each step. A call gets its band and the two
//!   ghost rows of its *neighbours* that show its edges, as further parts. A ghost row has one
//!   writer in one step and one reader in the next, so it is a part like any other. The driver
//!   copies nothing, and nothing is allocated.
//! - One call per band for all steps, with a barrier after each step. The parts stay with their
//!   calls, so the edges go through an array of atomics, which all calls may use at the same time.
//!   Plain loads and stores suffice, since the barrier orders them. Two sets of edges take turns,
//!   so one barrier per step suffices.
//!
//! Both modes give the same bits as one loop in this process. The work per number is small, so
//! memory sets the limit. The table shows the bytes of the numbers read and written per second,
//! beside a plain copy by as many threads.
//!
//! `cargo run --release -p mobula-examples --example heat [-- --small]`

use std::{
    hint::black_box,
    ops::Range,
    sync::atomic::Ordering::Relaxed,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use mobula::{AtomicArray, AtomicF64, SharedArray, SharedBarrier, prelude::*};
use mobula_examples::{
    compare::{Times, faster, shown, small},
    table,
};

mod layout;

use layout::Layout;

/// The number of times that all ways are measured, in turn.
const REPETITIONS: usize = 3;

/// The share of the difference to each neighbour that a point takes over in one step.
const RATE: f64 = 0.2;

/// Computes one step of some rows. `from` has one more row at both ends. The first and the last
/// column do not change.
fn step(from: &[f64], to: &mut [f64], width: usize) {
    for (row, to) in to.chunks_exact_mut(width).enumerate() {
        let from = &from[row * width..][..3 * width];
        let (above, here, below) = (&from[..width], &from[width..2 * width], &from[2 * width..]);
        let inner = 1..width - 1;
        let neighbours = above[inner.clone()].iter().zip(&below[inner.clone()]);
        let points = to[inner].iter_mut().zip(here.windows(3)).zip(neighbours);
        for ((to, row), (above, below)) in points {
            *to = row[1] + RATE * (((above + below) + (row[0] + row[2])) - 4.0 * row[1]);
        }
        to[0] = here[0];
        to[width - 1] = here[width - 1];
    }
}

/// Computes one step of one band. Writes its edges to the ghost rows of its neighbours, if it has
/// any.
#[remote]
fn one_step(
    from: &mut [f64],
    to: &mut [f64],
    ghost_above: &mut [f64],
    ghost_below: &mut [f64],
    width: usize,
) {
    step(from, to, width);
    if !ghost_above.is_empty() {
        ghost_above.copy_from_slice(&to[..width]);
    }
    if !ghost_below.is_empty() {
        ghost_below.copy_from_slice(&to[to.len() - width..]);
    }
}

/// Spawns the calls of each step, and waits for all of them.
fn by_calls(grids: &[SharedArray<f64>; 2], layout: Layout, steps: usize) -> Result<()> {
    let [mut from, mut to] = [&grids[0], &grids[1]];
    for _ in 0..steps {
        let blocks = from.split_mut((0..layout.bands).map(|band| layout.block(band)))?;
        let written = |band: usize| {
            [
                layout.own(band),
                layout.below(band.checked_sub(1)),
                layout.above(band + 1),
            ]
        };
        let mut parts = to
            .split_mut((0..layout.bands).flat_map(written))?
            .into_iter();
        for block in blocks {
            let (Some(own), Some(above), Some(below)) = (parts.next(), parts.next(), parts.next())
            else {
                unreachable!("three parts for each band");
            };
            let call = one_step::remote(block, own, above, below, layout.width);
            call.spawn().detach();
        }
        for grid in [from, to] {
            let incomplete = grid.settle()?;
            ensure!(incomplete.is_empty(), "a call failed: {}", incomplete[0]);
        }
        (from, to) = (to, from);
    }
    Ok(())
}

/// Computes all steps of one band. Returns their time from the moment at which all bands are ready.
#[remote]
fn all_steps(
    even: &mut [f64],
    odd: &mut [f64],
    edges: &AtomicArray<AtomicF64>,
    barrier: &SharedBarrier,
    layout: Layout,
    band: usize,
    steps: usize,
) -> mobula::Result<Duration> {
    let (mut from, mut to) = (even, odd);
    let edges: &[AtomicF64] = edges;
    let width = layout.width;
    let (first, last) = (band == 0, band + 1 == layout.bands);
    let load = |row: &mut [f64], edge: Range<usize>| {
        let points = row.iter_mut().zip(&edges[edge]);
        points.for_each(|(point, edge)| *point = edge.load(Relaxed));
    };
    let store = |edge: Range<usize>, row: &[f64]| {
        let points = edges[edge].iter().zip(row);
        points.for_each(|(edge, point)| edge.store(*point, Relaxed));
    };
    barrier.wait()?;
    let start = Instant::now();
    for number in 0..steps {
        // Before the first step, the ghost rows are as the driver has written them.
        if number > 0 {
            let below = from.len() - width;
            if !first {
                load(&mut from[..width], layout.edge(number, band - 1, 0));
            }
            if !last {
                load(&mut from[below..], layout.edge(number, band, 1));
            }
        }
        let own = &mut to[width..];
        let own = &mut own[..from.len() - 2 * width];
        step(from, own, width);
        if !first {
            store(layout.edge(number + 1, band - 1, 1), &own[..width]);
        }
        if !last {
            let row = &own[own.len() - width..];
            store(layout.edge(number + 1, band, 0), row);
        }
        barrier.wait()?;
        (from, to) = (to, from);
    }
    Ok(start.elapsed())
}

/// Makes one call for each band. Returns the time of the slowest call.
fn with_barrier(
    rt: &Runtime,
    grids: &[SharedArray<f64>; 2],
    layout: Layout,
    steps: usize,
) -> Result<Duration> {
    let edges = rt.atomic_array::<AtomicF64>(4 * layout.bands * layout.width)?;
    let barrier = rt.shared_barrier(layout.bands)?;
    let blocks = || (0..layout.bands).map(|band| layout.block(band));
    let parts = grids[0]
        .split_mut(blocks())?
        .into_iter()
        .zip(grids[1].split_mut(blocks())?);
    let calls = parts.enumerate().map(|(band, (from, to))| {
        all_steps::remote(from, to, &edges, &barrier, layout, band, steps)
    });
    let times = rt.get(rt.spawn_all(calls))?;
    Ok(times.into_iter().max().unwrap_or_default())
}

fn alone(from: &mut Vec<f64>, to: &mut Vec<f64>, layout: Layout, steps: usize) {
    for _ in 0..steps {
        step(from, &mut to[layout.own(0)], layout.width);
        std::mem::swap(from, to);
    }
}

/// Copies this many times with threads. Each thread copies a band.
fn copy(from: &[f64], to: &mut [f64], threads: usize, times: usize) {
    let size = from.len().div_ceil(threads);
    thread::scope(|scope| {
        for (from, to) in from.chunks(size).zip(to.chunks_mut(size)) {
            scope.spawn(move || {
                for _ in 0..times {
                    // `black_box` keeps each copy, though the numbers are the same.
                    black_box(&mut *to).copy_from_slice(black_box(from));
                }
            });
        }
    });
}

/// Returns whether all rows of a grid equal, bit by bit, those of a grid with one band.
fn same(grid: &[f64], layout: Layout, expected: &[f64]) -> bool {
    let bytes = bytemuck::cast_slice::<f64, u8>;
    let whole = Layout { bands: 1, ..layout };
    let expected = &expected[whole.own(0)];
    (0..layout.bands).all(|band| {
        let rows = layout.rows(band);
        let expected = &expected[rows.start * layout.width..rows.end * layout.width];
        bytes(&grid[layout.own(band)]) == bytes(expected)
    })
}

/// Measures all ways with this many workers, and compares the results. Returns the lines of the
/// table.
fn measure(workers: usize, size: usize, steps: usize) -> Result<Vec<[String; 6]>> {
    let rt = Runtime::builder().workers(workers).start()?;
    let whole = Layout {
        height: size,
        width: size,
        bands: 1,
    };
    let layout = Layout {
        bands: workers,
        ..whole
    };
    let (mut from, mut to) = (vec![0.0; whole.len()], vec![0.0; whole.len()]);
    let grids = [
        rt.shared_array(layout.len(), 0.0)?,
        rt.shared_array(layout.len(), 0.0)?,
    ];
    let begin = || -> mobula::Result<()> {
        grids
            .iter()
            .try_for_each(|grid| grid.with_mut(|grid| layout.begin(grid)))
    };
    let result = &grids[steps % 2];
    let mut times: [Times; 4] = Default::default();
    let [one_loop, calls, barrier, copied] = &mut times;
    for _ in 0..REPETITIONS {
        // Both grids begin alike, because both have the wall.
        whole.begin(&mut from);
        whole.begin(&mut to);
        one_loop.time(|| alone(&mut from, &mut to, whole, steps));
        begin()?;
        calls.time(|| by_calls(&grids, layout, steps))?;
        let equal = result.with(|grid| same(grid, layout, &from))?;
        ensure!(equal, "calls and this process differ");
        begin()?;
        barrier.add(with_barrier(&rt, &grids, layout, steps)?);
        let equal = result.with(|grid| same(grid, layout, &from))?;
        ensure!(equal, "tasks with a barrier and this process differ");
        copied.time(|| copy(&from, &mut to, workers, steps));
    }
    let medians = times.map(|times| times.median() / steps as f64);
    let copied = medians[3];
    let names = [
        "one loop",
        "a call per step",
        "a barrier per step",
        "a copy",
    ];
    let rows = names.iter().zip(medians).map(|(name, seconds)| {
        let bandwidth = (2 * whole.len() * size_of::<f64>()) as f64 / seconds;
        let workers = match *name {
            "one loop" => String::new(),
            _ => workers.to_string(),
        };
        [
            (*name).to_owned(),
            workers,
            shown(seconds),
            faster(medians[0], seconds),
            format!("{:.2} GB/s", bandwidth / 1e9),
            faster(copied, seconds),
        ]
    });
    Ok(rows.collect())
}

#[mobula::main]
fn main() -> Result<()> {
    let (size, steps) = if small()? { (512, 40) } else { (4096, 20) };
    let cores = thread::available_parallelism()?.get();
    println!("{steps} steps of a grid of {size} x {size}, medians of {REPETITIONS}:");
    let mut rows = Vec::new();
    for workers in [1, cores] {
        rows.append(&mut measure(workers, size, steps)?);
        if cores == 1 {
            break;
        }
    }
    let headings = [
        "",
        "workers",
        "a step",
        "times as fast",
        "bandwidth",
        "of a copy's",
    ];
    table::print(headings, rows);
    println!("All grids are the same in all bits.");
    Ok(())
}
