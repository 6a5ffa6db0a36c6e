//! Rows of many empty tasks in flight, and of many workers.

use std::time::Instant;

use mobula::prelude::*;
use mobula_benches::sampling::{Sampler, Summary, measure as sample};

use super::{Out, WORKERS, nothing, per_second, runtime};
use crate::Result;

/// The number of tasks in a batch that compares pools.
const COMPARED: usize = 10_000;

pub(crate) fn measure(out: &Out) -> Result<()> {
    let rt = runtime()?;
    out.attempt("inflight_1k", || {
        let times = sample(out.slow(50, 2.0), || batch(&rt, 1000))?;
        out.row("inflight_1k", per_second(1000.0, times));
        out.row("tasks_async", per_second(1000.0, times));
        out.row("tasks_and_get_batch", per_second(1.0, times));
        Ok(())
    });
    out.attempt("inflight_100k", || {
        let times = sample(out.slow(5, 3.0), || batch(&rt, 100_000))?;
        out.row("inflight_100k", per_second(1e5, times));
        Ok(())
    });
    for workers in [16, 64] {
        let row = format!("workers_{workers}");
        out.attempt(&row, || {
            out.row(&row, compared(&rt, workers, out)?);
            Ok(())
        });
    }
    Ok(())
}

/// Returns the seconds until all tasks of a batch are spawned, done, fetched and dropped.
pub(crate) fn batch(rt: &Runtime, tasks: usize) -> mobula::Result<f64> {
    let start = Instant::now();
    let refs = rt.spawn_all((0..tasks).map(|_| nothing::remote()));
    rt.get(&refs)?;
    drop(refs);
    Ok(start.elapsed().as_secs_f64())
}

/// Returns the throughput of this many workers, divided by that of two workers. Batches of the two
/// pools take turns.
fn compared(few: &Runtime, workers: usize, out: &Out) -> Result<Summary> {
    let many = Runtime::builder().workers(workers).start()?;
    batch(&many, COMPARED)?;
    let mut sampler = Sampler::new(out.slow(10, 2.0));
    while sampler.more() {
        let [few, many] = [few, &many].map(|rt| {
            // The first tasks wake the workers that sleep.
            batch(rt, 10 * WORKERS)?;
            batch(rt, COMPARED)
        });
        sampler.add(few? / many?);
    }
    Ok(sampler.summary())
}
