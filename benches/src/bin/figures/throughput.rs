//! Row 2: the throughput of many tasks in flight.

use std::time::Instant;

use mobula::prelude::*;
use mobula_benches::{
    floors::ping_pong,
    sampling::Sampler,
    table::{Figure, Floor, Table, Unit},
};

use crate::{
    Options, Result,
    round_trips::{nothing, of_workers, pool_sizes},
};

pub(crate) fn measure(options: &Options) -> Result<Table> {
    let mut figures = Vec::new();
    for workers in pool_sizes() {
        // A rate is comparable with the throughput.
        let floors: Vec<_> = ping_pong(options.quick(0.3))?
            .into_iter()
            .map(|floor| Floor {
                value: 1.0 / floor.value,
                ..floor
            })
            .collect();
        let rt = Runtime::builder().workers(workers).start()?;
        for tasks in [1000, options.size(100_000, 10_000)] {
            figures.extend(
                batches(&rt, workers, tasks, options)?.map(|figure| figure.against(&floors)),
            );
        }
    }
    let title = "Empty tasks per second, by how many are in flight; floor: round trips of one word per second";
    Ok(Table {
        row: 2,
        title: title.into(),
        figures,
    })
}

/// Measures batches. Each batch spawns all tasks, then fetches all results, then drops all refs.
fn batches(rt: &Runtime, workers: usize, tasks: usize, options: &Options) -> Result<[Figure; 2]> {
    let plan = options.slow(5, 3.0);
    let (mut spawned, mut done) = (Sampler::new(plan), Sampler::new(plan));
    while done.more() {
        let start = Instant::now();
        let refs = rt.spawn_all((0..tasks).map(|_| nothing::remote()));
        let spawning = start.elapsed();
        rt.get(&refs)?;
        drop(refs);
        spawned.add(tasks as f64 / spawning.as_secs_f64());
        done.add(tasks as f64 / start.elapsed().as_secs_f64());
    }
    let of = of_workers(workers);
    Ok([
        Figure::new(
            format!("{tasks} in flight, {of}: done"),
            Unit::Rate,
            done.summary(),
        ),
        Figure::new(
            format!("{tasks} in flight, {of}: spawned"),
            Unit::Rate,
            spawned.summary(),
        ),
    ])
}
