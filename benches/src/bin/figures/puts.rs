//! Row 3: `put`.

use std::time::Instant;

use mobula::prelude::*;
use mobula_benches::{
    floors::Copying,
    sampling::{Plan, Sampler},
    table::{Figure, Floor, Table, Unit},
};

use crate::{Options, Result};

pub(crate) fn measure(options: &Options) -> Result<Table> {
    let mut figures = Vec::new();
    for (megabytes, plan) in [
        (options.size(800, 80), options.slow(10, 8.0)),
        (1, options.quick(1.0)),
    ] {
        let mut buffers = Copying::new(megabytes * 1_000_000 / size_of::<f64>());
        figures.extend(warm(megabytes, &mut buffers, plan)?);
        figures.push(cold(megabytes, &buffers, options.slow(8, 4.0))?);
    }
    let title = "Into the store, bytes per second; floor: one thread and its own memory";
    Ok(Table {
        row: 3,
        title: title.into(),
        figures,
    })
}

/// Measures `put` into memory that the store has used before. Each object is dropped before the
/// next `put`. The measurements take turns, so other load of the machine affects all alike.
fn warm(megabytes: usize, buffers: &mut Copying, plan: Plan) -> Result<[Figure; 2]> {
    let rt = runtime(megabytes)?;
    let bytes = size_of_val(&buffers.source()[..]);
    let len = buffers.source().len();
    let mut samplers: [Sampler; 4] = std::array::from_fn(|_| Sampler::new(plan));
    let [copied, filled, put, built] = &mut samplers;
    while put.more() {
        let add = |sampler: &mut Sampler, seconds| sampler.add(bytes as f64 / seconds);
        add(copied, buffers.copy());
        add(put, seconds(|| rt.put(buffers.source()))?);
        add(filled, buffers.fill());
        add(
            built,
            seconds(|| rt.put_with(len, |out: &mut [f64]| out.fill(2.0)))?,
        );
    }
    let [copied, filled, put, built] = samplers.map(Sampler::summary);
    let floor = |name, value| Floor { name, value };
    let memcpy = floor("memcpy", copied.median);
    let fill = floor("fill", filled.median);
    let figure = |name: &str, ours| Figure::new(of(name, megabytes), Unit::Bandwidth, ours);
    Ok([
        figure("`put`, warm", put).against(&[memcpy]),
        figure("`put_with`, warm, filling", built).against(&[fill, memcpy]),
    ])
}

/// Measures `put` into memory that the store must first get from the system.
fn cold(megabytes: usize, buffers: &Copying, plan: Plan) -> Result<Figure> {
    let bytes = size_of_val(&buffers.source()[..]) as f64;
    let (mut put, mut written) = (Sampler::new(plan), Sampler::new(plan));
    while put.more() {
        let rt = runtime(megabytes)?;
        put.add(bytes / seconds(|| rt.put(buffers.source()))?);
        drop(rt);
        written.add(bytes / buffers.write()?);
    }
    let floor = Floor {
        name: "write to a new memory file",
        value: written.summary().median,
    };
    let name = of("`put`, first of a runtime", megabytes);
    Ok(Figure::new(name, Unit::Bandwidth, put.summary()).against(&[floor]))
}

fn of(name: &str, megabytes: usize) -> String {
    format!("{name}, {megabytes} MB")
}

/// Starts a runtime whose store has room for two objects of this size and 64 MiB. The memory of a
/// dropped object is not always free at the next `put`.
fn runtime(megabytes: usize) -> mobula::Result<Runtime> {
    let capacity = 2 * megabytes as u64 * 1_000_000 + (64 << 20);
    Runtime::builder()
        .workers(1)
        .store_capacity(capacity)
        .start()
}

/// Returns the seconds until the object exists. Then drops the object.
fn seconds<T>(put: impl FnOnce() -> mobula::Result<ObjectRef<T>>) -> mobula::Result<f64> {
    let start = Instant::now();
    let object = put()?;
    let elapsed = start.elapsed();
    drop(object);
    Ok(elapsed.as_secs_f64())
}
