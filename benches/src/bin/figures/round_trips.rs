//! Row 1: the round trip of an empty task.

use mobula::prelude::*;
use mobula_benches::{
    floors::ping_pong,
    machine::cores,
    sampling::{Plan, Sampler, Summary, measure as sample, timed},
    table::{Figure, Floor, Table, Unit},
};
use tokio::runtime as tokio_runtime;

use crate::{Options, Result};

/// A function that measures round trips of one kind.
type Way = fn(&Runtime, Plan) -> Result<Summary>;

#[remote]
pub(crate) fn nothing() {}

pub(crate) fn measure(options: &Options) -> Result<Table> {
    let plan = options.quick(1.5);
    let mut figures = Vec::new();
    for workers in pool_sizes() {
        let floors = ping_pong(options.quick(0.5))?;
        let rt = Runtime::builder().workers(workers).start()?;
        let ways: [(_, Way); 3] = [
            ("`get`", blocking),
            ("`.await`, tokio with many threads", in_many_threads),
            ("`.await`, tokio with one thread", in_one_thread),
        ];
        for (name, way) in ways {
            figures.push(figure(name, workers, way(&rt, plan)?, &floors));
        }
    }
    Ok(Table {
        row: 1,
        title: "Round trip of an empty task; floor: a word to another process and back".into(),
        figures,
    })
}

/// Returns the measured numbers of workers: 1, and the number of cores.
pub(crate) fn pool_sizes() -> Vec<usize> {
    let mut sizes = vec![1, cores()];
    sizes.dedup();
    sizes
}

pub(crate) fn of_workers(workers: usize) -> String {
    match workers {
        1 => "1 worker".into(),
        _ => format!("{workers} workers"),
    }
}

fn figure(name: &str, workers: usize, ours: Summary, floors: &[Floor]) -> Figure {
    Figure::new(format!("{name}, {}", of_workers(workers)), Unit::Time, ours).against(floors)
}

fn blocking(rt: &Runtime, plan: Plan) -> Result<Summary> {
    Ok(sample(plan, || {
        let mut result = Ok(());
        let seconds = timed(|| result = rt.spawn(nothing::remote()).get());
        result.map(|()| seconds)
    })?)
}

fn in_many_threads(rt: &Runtime, plan: Plan) -> Result<Summary> {
    let tokio = tokio_runtime::Builder::new_multi_thread().build()?;
    // A program's tasks run on tokio's own threads, so this task does, too.
    Ok(tokio.block_on(tokio.spawn(awaiting(rt.clone(), plan)))??)
}

fn in_one_thread(rt: &Runtime, plan: Plan) -> Result<Summary> {
    let tokio = tokio_runtime::Builder::new_current_thread().build()?;
    Ok(tokio.block_on(awaiting(rt.clone(), plan))?)
}

async fn awaiting(rt: Runtime, plan: Plan) -> mobula::Result<Summary> {
    let mut sampler = Sampler::new(plan);
    while sampler.more() {
        let start = std::time::Instant::now();
        rt.spawn(nothing::remote()).await?;
        sampler.add(start.elapsed().as_secs_f64());
    }
    Ok(sampler.summary())
}
