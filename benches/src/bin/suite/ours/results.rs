//! Rows of results of several sizes, from a worker to the driver.

use std::hint::black_box;

use mobula::{Array, prelude::*};
use mobula_benches::{
    floors::{Copying, Handing},
    sampling::{Sampler, Summary, timed},
};

use super::{Out, calls::blocking, runtime_for};
use crate::Result;

/// From this size on, the driver reads results in the store and does not copy them into a vector.
const VIEWED: usize = 1 << 20;

/// From this size on, the row has a floor for memory that changes cores.
const HANDED: usize = 64 << 10;

#[remote]
fn make(size: usize) -> Vec<u8> {
    vec![1; size]
}

/// Makes the same vector as the task with a result, and drops it.
#[remote]
fn make_and_drop(size: usize) {
    drop(black_box(vec![1_u8; size]));
}

/// Builds an array with the same elements as the floor.
#[remote]
fn build(elements: usize) -> mobula::Result<Array<f64>> {
    Array::build(elements, |array| array.fill(black_box(3.0)))
}

pub(crate) fn measure(out: &Out) -> Result<()> {
    for (name, size) in [("64", 64), ("4k", 4 << 10), ("64k", 64 << 10)] {
        out.attempt(&format!("result_{name}"), || small(out, name, size));
    }
    for (name, size) in [("1m", 1 << 20), ("256m", 256 << 20)] {
        out.attempt(&format!("result_{name}"), || large(out, name, size));
    }
    Ok(())
}

fn small(out: &Out, name: &str, size: usize) -> Result<()> {
    let rt = runtime_for(0)?;
    let mut buffers = Copying::new(size / size_of::<f64>());
    let plan = out.fast(1.0);
    let mut samplers: [Sampler; 3] = std::array::from_fn(|_| Sampler::new(plan));
    let [empty, made, copied] = &mut samplers;
    while empty.more() {
        empty.add(blocking(&rt)?);
        made.add(fetched(&rt, size)?);
        copied.add(buffers.copy());
    }
    let [empty, made, copied] = samplers.map(Sampler::summary);
    out.floor(&format!("empty_{name}"), empty);
    out.row(&format!("result_{name}"), made);
    out.floor(&format!("copy_{name}"), copied);
    if size >= HANDED {
        // This floor does not take turns with the row, since the workers would fall asleep
        // meanwhile.
        let mut handing = Handing::new(size / size_of::<f64>());
        let mut handed = Sampler::new(plan);
        while handed.more() {
            handed.add(handing.hand());
        }
        out.floor(&format!("hand_{name}"), handed.summary());
    }
    Ok(())
}

/// Returns the seconds until the driver has a result.
fn fetched(rt: &Runtime, size: usize) -> Result<f64> {
    let mut seen = Ok(0);
    let seconds = timed(|| {
        let result = rt.spawn(make::remote(size));
        seen = if size >= VIEWED {
            result.view().map(|bytes| bytes.len())
        } else {
            result.get().map(|bytes| bytes.len())
        };
    });
    if seen? != size {
        return Err("a result has another length".into());
    }
    Ok(seconds)
}

fn large(out: &Out, name: &str, size: usize) -> Result<()> {
    let rt = runtime_for(2 * size)?;
    let elements = size / size_of::<f64>();
    let mut buffers = Copying::new(elements);
    let plan = out.slow(20, 4.0);
    let mut samplers: [Sampler; 6] = std::array::from_fn(|_| Sampler::new(plan));
    let [empty, made, returned, built, copied, filled] = &mut samplers;
    while empty.more() {
        // This call wakes the workers, which fell asleep while this process copied and filled.
        blocking(&rt)?;
        empty.add(blocking(&rt)?);
        let dropping = seconds_of(|| rt.spawn(make_and_drop::remote(size)).get())?;
        let returning = fetched(&rt, size)?;
        made.add(returning);
        returned.add(returning - dropping);
        built.add(seconds_of(|| {
            rt.spawn(build::remote(elements)).get().map(|array| {
                let _ = black_box(array[elements - 1]);
            })
        })?);
        copied.add(buffers.copy());
        filled.add(buffers.fill());
    }
    let [empty, made, returned, built, copied, filled] = samplers.map(Sampler::summary);
    out.row(&format!("result_{name}"), made);
    out.floor(&format!("copy_{name}"), copied);
    let rate = |seconds: f64| Summary::single(size as f64 / seconds);
    out.floor(&format!("memcpy_{name}"), rate(copied.median));
    out.floor(&format!("fill_{name}"), rate(filled.median));
    // The difference is negative only if noise exceeds it.
    if returned.median > 0.0 {
        out.row(&format!("return_{name}"), rate(returned.median));
    }
    out.row(
        &format!("in_place_{name}"),
        rate(built.median - empty.median),
    );
    Ok(())
}

fn seconds_of(work: impl FnOnce() -> mobula::Result<()>) -> mobula::Result<f64> {
    let mut result = Ok(());
    let seconds = timed(|| result = work());
    result.map(|()| seconds)
}
