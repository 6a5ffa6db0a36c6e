//! Rows of large values: `put`, and reads in place.

use std::{collections::BTreeMap, hint::black_box, time::Instant};

use mobula::{Array, prelude::*};
use mobula_benches::{
    floors::{Copying, touch_fresh},
    machine::cores,
    sampling::{Sampler, measure as sample, timed},
};

use super::{Out, calls::blocking, per_second, runtime_for};
use crate::Result;

const LARGE: usize = 800 << 20;
const MIB: usize = 1 << 20;
const ARRAYS: u32 = 20;

/// The maximum number of threads that `put` uses for large values.
const MOST_THREADS: usize = 4;

#[remote]
fn last(array: &[f64]) -> f64 {
    array[array.len() - 1]
}

pub(crate) fn measure(out: &Out) -> Result<()> {
    let mut buffers = Copying::new(LARGE / size_of::<f64>());
    out.attempt("put_800_cold", || cold(out, &buffers));
    out.attempt("put_800_warm", || warm(out, &mut buffers));
    out.attempt("read_800", || read(out, &buffers));
    drop(buffers);
    out.attempt("dict_put", || map(out));
    Ok(())
}

/// Measures the first `put` of a runtime, in turn with the floors.
fn cold(out: &Out, buffers: &Copying) -> Result<()> {
    let plan = out.slow(5, 3.0);
    let mut samplers: [Sampler; 3] = std::array::from_fn(|_| Sampler::new(plan));
    let [put, touched, written] = &mut samplers;
    while put.more() {
        let rt = runtime_for(LARGE)?;
        rt.spawn(super::nothing::remote()).get()?;
        let start = Instant::now();
        let object = rt.put(buffers.source())?;
        put.add(start.elapsed().as_secs_f64());
        drop((object, rt));
        touched.add(touch_fresh(LARGE)?);
        written.add(buffers.write()?);
    }
    let [put, touched, written] = samplers.map(|times| per_second(LARGE as f64, times.summary()));
    out.row("put_800_cold", put);
    out.floor("touch_800", touched);
    out.floor("write_800", written);
    Ok(())
}

/// Measures repeated puts. Each object is dropped before the next `put`.
fn warm(out: &Out, buffers: &mut Copying) -> Result<()> {
    let rt = runtime_for(LARGE)?;
    let threads = cores().min(MOST_THREADS);
    let len = buffers.source().len();
    let plan = out.slow(10, 6.0);
    let mut samplers: [Sampler; 5] = std::array::from_fn(|_| Sampler::new(plan));
    let [put, one, several, built, filled] = &mut samplers;
    while put.more() {
        one.add(buffers.copy());
        put.add(timed_put(|| rt.put(buffers.source()))?);
        several.add(buffers.copy_by(threads));
        built.add(timed_put(|| {
            rt.put_with(len, |to: &mut [f64]| to.fill(black_box(3.0)))
        })?);
        filled.add(buffers.fill());
    }
    let times = samplers.map(Sampler::summary);
    out.row("put_gigabytes", per_second(0.8e9, times[0]));
    let [put, one, several, built, filled] = times.map(|times| per_second(LARGE as f64, times));
    out.row("put_800_warm", put);
    out.floor("memcpy_800", one);
    out.floor("memcpy_threads_800", several);
    out.row("put_with_800", built);
    out.floor("fill_800", filled);
    Ok(())
}

/// Returns the seconds of a `put`, without the drop of the ref.
fn timed_put<T>(put: impl FnOnce() -> mobula::Result<ObjectRef<T>>) -> mobula::Result<f64> {
    let start = Instant::now();
    let object = put()?;
    let seconds = start.elapsed().as_secs_f64();
    drop(object);
    Ok(seconds)
}

fn read(out: &Out, buffers: &Copying) -> Result<()> {
    let rt = runtime_for(LARGE + MIB)?;
    let source = buffers.source();
    let large = rt.put(source)?;
    let small = rt.put(&source[..MIB / size_of::<f64>()])?;
    let times = sample(out.fast(0.5), || {
        let mut value = Ok(0.0);
        let seconds = timed(|| value = large.view().map(|array| array[array.len() - 1]));
        value.map(|value| {
            black_box(value);
            seconds
        })
    })?;
    out.row("read_800", times);

    let task = |array: &ObjectRef<Vec<f64>>| {
        let mut value = Ok(0.0);
        let seconds = timed(|| value = rt.spawn(last::remote(array)).get());
        value.map(|_| seconds)
    };
    let plan = out.fast(2.0);
    let mut samplers: [Sampler; 3] = std::array::from_fn(|_| Sampler::new(plan));
    let [empty, of_small, of_large] = &mut samplers;
    while empty.more() {
        empty.add(blocking(&rt)?);
        of_small.add(task(&small)?);
        of_large.add(task(&large)?);
    }
    let [empty, of_small, of_large] = samplers.map(Sampler::summary);
    out.floor("empty_task", empty);
    out.row("task_shared_1m", of_small);
    out.row("task_shared_800m", of_large);
    Ok(())
}

/// Measures a map of arrays, stored as one value.
fn map(out: &Out) -> Result<()> {
    let elements = out.size(10_000_000, 1_000_000);
    let bytes = elements * size_of::<f64>() * ARRAYS as usize;
    let rt = runtime_for(bytes)?;
    let private: BTreeMap<u32, Array<f64>> = (0..ARRAYS)
        .map(|key| (key, Array::from(vec![f64::from(key); elements])))
        .collect();
    let times = sample(out.slow(5, 3.0), || timed_put(|| rt.put(&private)))?;
    let note = format!("{elements} elements each");
    out.row_with("dict_put", per_second(bytes as f64, times), note);
    let object = rt.put(&private)?;
    drop(private);
    let ends = |map: BTreeMap<u32, Array<f64>>| -> f64 {
        map.values().map(|array| array[array.len() - 1]).sum()
    };
    let times = sample(out.fast(0.5), || {
        let mut value = Ok(0.0);
        let seconds = timed(|| value = object.get().map(ends));
        value.map(|value| {
            black_box(value);
            seconds
        })
    })?;
    out.row("dict_read", times);
    Ok(())
}
