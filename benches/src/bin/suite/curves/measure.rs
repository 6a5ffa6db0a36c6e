//! Measures the points of the curves.

use std::{hint::black_box, process, time::Instant};

use mobula::prelude::*;
use mobula_benches::{processes::memory, table::Unit};

use super::Point;
use crate::{
    Result,
    ours::{WORKERS, nothing},
    protocol::unit_name,
};

/// Prints points.
pub(crate) struct Out {
    pub(crate) quick: bool,
}

impl Out {
    fn point(&self, line: &str, unit: Unit, x: usize, y: f64) -> Result<()> {
        let point = Point {
            line: line.into(),
            unit: unit_name(unit).into(),
            x: x as f64,
            y,
        };
        println!("{}", serde_json::to_string(&point)?);
        Ok(())
    }

    /// Returns the steps 1, 3, 10, 30 and so on between the two limits. A quick run omits the last
    /// decade.
    fn steps(&self, from: usize, to: usize) -> Vec<usize> {
        let to = if self.quick { to / 10 } else { to };
        let decades = (0..).map(|decade| 10_usize.pow(decade));
        let steps = decades.flat_map(|decade| [decade, 3 * decade]);
        steps
            .skip_while(|step| *step < from)
            .take_while(|step| *step <= to)
            .collect()
    }

    /// Returns the number of repetitions for work of `of` units.
    fn repeat(&self, of: usize) -> usize {
        let most = if self.quick { 3 } else { 25 };
        (2_000_000 / of.max(1)).clamp(3, most)
    }
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn repeated(times: usize, mut once: impl FnMut() -> Result<f64>) -> Result<f64> {
    once()?;
    let samples: Result<Vec<f64>> = (0..times).map(|_| once()).collect();
    samples.map(median)
}

fn started() -> mobula::Result<Runtime> {
    Runtime::builder().workers(WORKERS).start()
}

/// Measures time and memory of the driver by the number of tasks.
pub(super) fn tasks(out: &Out) -> Result<()> {
    let rt = started()?;
    rt.get(rt.spawn_all((0..10).map(|_| nothing::remote())))?;
    // The numbers of tasks grow. Memory that a smaller number has left counts for the larger
    // number, too.
    let before = memory([process::id()])?;
    for count in out.steps(100, 1_000_000) {
        let mut grown = 0;
        let seconds = repeated(out.repeat(count), || {
            let start = Instant::now();
            let refs = rt.spawn_all((0..count).map(|_| nothing::remote()));
            rt.get(&refs)?;
            let seconds = start.elapsed().as_secs_f64();
            grown = grown.max(memory([process::id()])?.saturating_sub(before));
            let start = Instant::now();
            drop(refs);
            Ok(seconds + start.elapsed().as_secs_f64())
        })?;
        out.point("spawn, get and drop all", Unit::Time, count, seconds)?;
        out.point(
            "memory of the driver, while the refs live",
            Unit::Bytes,
            count,
            grown as f64,
        )?;
    }
    Ok(())
}

/// Measures `put`, `view` and a task by the size of the object.
pub(super) fn size(out: &Out) -> Result<()> {
    // Memory must have room for the object and for the array that it is made of.
    let free = available()? / 5 * 2;
    let largest = free.min(4 << 30);
    let rt = Runtime::builder()
        .workers(WORKERS)
        .store_capacity(largest as u64 + (256 << 20))
        .start()?;
    let mut sizes = out.steps(1, 4_000_000_000);
    sizes.push(if out.quick {
        400_000_000
    } else {
        4_000_000_000
    });
    sizes.sort_unstable();
    sizes.dedup();
    for size in sizes.into_iter().filter(|size| *size <= largest) {
        let source = vec![1_u8; size];
        let times = out.repeat(size / 1000);
        let put = repeated(times, || {
            let start = Instant::now();
            let object = rt.put(&source)?;
            let seconds = start.elapsed().as_secs_f64();
            drop(object);
            Ok(seconds)
        })?;
        let object = rt.put(&source)?;
        drop(source);
        let view = repeated(25, || {
            let start = Instant::now();
            black_box(object.view()?.len());
            Ok(start.elapsed().as_secs_f64())
        })?;
        let task = repeated(25, || {
            let start = Instant::now();
            rt.spawn(length::remote(&object)).get()?;
            Ok(start.elapsed().as_secs_f64())
        })?;
        let used = rt.store().used_bytes() as f64;
        out.point("put, warm", Unit::Time, size, put)?;
        out.point("view in the driver", Unit::Time, size, view)?;
        out.point("task that reads its last element", Unit::Time, size, task)?;
        out.point("bytes of the store in use", Unit::Bytes, size, used)?;
    }
    Ok(())
}

#[remote]
fn length(bytes: &[u8]) -> u8 {
    bytes[bytes.len() - 1]
}

/// Returns the bytes of memory that are available.
fn available() -> Result<usize> {
    let info = std::fs::read_to_string("/proc/meminfo")?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    Ok(kilobytes.ok_or("the system does not say how much memory is free")? * 1024)
}

/// The elements of a live object. It is too large to travel in a message.
const ELEMENTS: usize = 128;

/// Measures time and memory by the number of live objects.
pub(super) fn live(out: &Out) -> Result<()> {
    let rt = Runtime::builder()
        .workers(WORKERS)
        .store_capacity(3 << 30)
        .start()?;
    let numbers = vec![1.0_f64; ELEMENTS];
    let before = memory([process::id()])?;
    for count in out.steps(100, 1_000_000) {
        let mut one_more = 0.0;
        let mut grown = 0;
        let [mut put, mut view, mut dropped] = [const { Vec::new() }; 3];
        for _ in 0..out.repeat(count).min(5) {
            let start = Instant::now();
            let refs: Vec<_> = (0..count)
                .map(|_| rt.put(&numbers))
                .collect::<Result<_, _>>()?;
            put.push(start.elapsed().as_secs_f64());
            grown = memory([process::id()])?.saturating_sub(before);
            one_more = repeated(100, || {
                let start = Instant::now();
                drop(rt.put(&numbers)?);
                Ok(start.elapsed().as_secs_f64())
            })?;
            let start = Instant::now();
            for object in &refs {
                black_box(object.view()?);
            }
            view.push(start.elapsed().as_secs_f64());
            let start = Instant::now();
            drop(refs);
            dropped.push(start.elapsed().as_secs_f64());
        }
        out.point("put all", Unit::Time, count, median(put))?;
        out.point("view all", Unit::Time, count, median(view))?;
        out.point("drop all", Unit::Time, count, median(dropped))?;
        out.point("put and drop one more", Unit::Time, count, one_more)?;
        out.point(
            "memory of driver and objects",
            Unit::Bytes,
            count,
            grown as f64,
        )?;
    }
    Ok(())
}

/// Measures start, memory and throughput by the number of workers.
pub(super) fn workers(out: &Out) -> Result<()> {
    const TASKS: usize = 10_000;
    for workers in [1, 2, 4, 8, 16, 32, 64] {
        let start = repeated(out.repeat(200_000), || {
            let start = Instant::now();
            let rt = Runtime::builder().workers(workers).start()?;
            rt.spawn(nothing::remote()).get()?;
            let seconds = start.elapsed().as_secs_f64();
            rt.shutdown();
            Ok(seconds)
        })?;
        let rt = Runtime::builder().workers(workers).start()?;
        let batch = || {
            let start = Instant::now();
            rt.get(rt.spawn_all((0..TASKS).map(|_| nothing::remote())))?;
            Ok(start.elapsed().as_secs_f64())
        };
        let seconds = repeated(out.repeat(100_000), batch)?;
        let bytes = memory(rt.worker_pids().into_iter().chain([process::id()]))?;
        out.point("start to the first result", Unit::Time, workers, start)?;
        out.point("10,000 empty tasks", Unit::Time, workers, seconds)?;
        out.point(
            "memory of all processes",
            Unit::Bytes,
            workers,
            bytes as f64,
        )?;
    }
    Ok(())
}

/// Spawns a task that does the same with a depth of one less, and awaits it.
#[remote]
fn nested(depth: usize) -> mobula::Result<usize> {
    match depth {
        0 => Ok(0),
        _ => Ok(1 + nested::remote(depth - 1).spawn().get()?),
    }
}

/// Measures the time by the depth of nested tasks that wait for each other.
pub(super) fn depth(out: &Out) -> Result<()> {
    let rt = started()?;
    for depth in [1, 2, 5, 10, 20, 50, 100, 200] {
        let seconds = repeated(out.repeat(depth * 1000), || {
            let start = Instant::now();
            let reached = rt.spawn(nested::remote(depth)).get()?;
            let seconds = start.elapsed().as_secs_f64();
            if reached != depth {
                return Err("a nested task went missing".into());
            }
            Ok(seconds)
        })?;
        out.point(
            "until the outermost has its result",
            Unit::Time,
            depth,
            seconds,
        )?;
    }
    Ok(())
}
