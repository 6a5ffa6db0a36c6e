//! The measured paths. Each path runs twice, with two numbers of tasks.
//!
//! Callgrind writes its counts at each call of [`phase_ends`], in the driver and in the worker.
//! Then it counts from zero. The fixed costs of a phase are the same for both numbers of tasks. So
//! the difference of the two counts is the cost of the tasks.

use std::hint::black_box;

use mobula::prelude::*;

use crate::Result;

/// A measured path.
pub(crate) struct Flow {
    pub(crate) name: &'static str,
    /// Whether the path runs without a worker process.
    pub(crate) null: bool,
    run: fn(&Runtime, usize) -> Result<()>,
    /// The numbers of tasks (items, puts, ..) in the two phases.
    pub(crate) sizes: [usize; 2],
}

/// All paths in the order of their runs. The paths without processes come last.
pub(crate) const FLOWS: &[Flow] = &[
    Flow::new("spawn and get, one by one", one_by_one, 500),
    Flow::new("1,000 in flight", in_flight, 1000),
    Flow::new("spawn_all and get of 1,000", all_at_once, 1000),
    Flow::new("map_fn, batches of 64", map, 6400),
    Flow::new("put of a small value", puts, 1000),
    Flow::new("get of a small value", gets, 1000),
    Flow::new("a slice that is an object", slices, 500),
    Flow::new("100 children of a task", nested, 1000),
    Flow {
        null: true,
        ..Flow::new("1,000 in flight, null work", in_flight, 1000)
    },
];

impl Flow {
    const fn new(name: &'static str, run: fn(&Runtime, usize) -> Result<()>, size: usize) -> Flow {
        Flow {
            name,
            null: false,
            run,
            sizes: [size, 3 * size],
        }
    }
}

#[remote]
fn nothing(number: u64) {
    black_box(number);
}

#[remote]
fn successor(number: u64) -> u64 {
    number + 1
}

#[remote]
fn first(numbers: &[f64]) -> f64 {
    numbers[0]
}

#[remote]
fn parent(children: u64) -> mobula::Result<()> {
    let rt = Runtime::current()?;
    let refs = rt.spawn_all((0..children).map(nothing::remote));
    rt.get(&refs).map(drop)
}

#[remote]
fn worker_phase_ends(phase: u64) {
    phase_ends(phase);
}

/// Ends a phase. Callgrind's option `--dump-before` names this function.
#[inline(never)]
pub(crate) fn phase_ends(phase: u64) {
    black_box(phase);
}

/// Runs all paths. The process runs under callgrind.
pub(crate) fn run() -> Result<()> {
    for null in [false, true] {
        let builder = Runtime::builder().workers(1).store_capacity(64 << 20);
        let rt = match null {
            false => builder.start()?,
            true => builder.null_work_here().start()?,
        };
        let flows = || FLOWS.iter().filter(|flow| flow.null == null);
        // This warm-up keeps the costs of the first use out of the counts.
        for flow in flows() {
            (flow.run)(&rt, 200)?;
        }
        end_phase(&rt, null)?;
        for flow in flows() {
            for size in flow.sizes {
                (flow.run)(&rt, size)?;
                end_phase(&rt, null)?;
            }
        }
        rt.shutdown();
    }
    Ok(())
}

fn end_phase(rt: &Runtime, null: bool) -> Result<()> {
    if !null {
        rt.spawn(worker_phase_ends::remote(0)).get()?;
    }
    phase_ends(0);
    Ok(())
}

fn one_by_one(rt: &Runtime, tasks: usize) -> Result<()> {
    for n in 0..tasks as u64 {
        rt.spawn(nothing::remote(n)).get()?;
    }
    Ok(())
}

fn in_flight(rt: &Runtime, tasks: usize) -> Result<()> {
    let mut left = tasks;
    while left > 0 {
        let now = left.min(1000);
        let refs: Vec<_> = (0..now as u64)
            .map(|n| rt.spawn(nothing::remote(n)))
            .collect();
        for result in &refs {
            result.get()?;
        }
        left -= now;
    }
    Ok(())
}

fn all_at_once(rt: &Runtime, tasks: usize) -> Result<()> {
    let mut left = tasks;
    while left > 0 {
        let now = left.min(1000);
        let refs = rt.spawn_all((0..now as u64).map(nothing::remote));
        rt.get(&refs)?;
        left -= now;
    }
    Ok(())
}

fn map(rt: &Runtime, items: usize) -> Result<()> {
    let values = rt
        .map_fn(successor::remote, 0..items as u64)
        .chunk_size(64)
        .get()?;
    check(values.len() == items && values[items - 1] == items as u64)
}

fn puts(rt: &Runtime, puts: usize) -> Result<()> {
    for n in 0..puts as u64 {
        drop(rt.put(&n)?);
    }
    Ok(())
}

fn gets(rt: &Runtime, gets: usize) -> Result<()> {
    let stored = rt.put(&7_u64)?;
    let mut sum = 0;
    for _ in 0..gets {
        sum += stored.get()?;
    }
    check(sum == 7 * gets as u64)
}

fn slices(rt: &Runtime, tasks: usize) -> Result<()> {
    let numbers = rt.put(&vec![2.5; 100_000])?;
    let mut left = tasks;
    while left > 0 {
        let now = left.min(500);
        let refs = rt.spawn_all((0..now).map(|_| first::remote(&numbers)));
        check(rt.get(&refs)? == vec![2.5; now])?;
        left -= now;
    }
    Ok(())
}

fn nested(rt: &Runtime, children: usize) -> Result<()> {
    for _ in 0..children / 100 {
        rt.spawn(parent::remote(100)).get()?;
    }
    Ok(())
}

fn check(holds: bool) -> Result<()> {
    match holds {
        true => Ok(()),
        false => Err("a wrong result".into()),
    }
}
