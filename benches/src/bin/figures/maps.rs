//! Row 5: a map of twenty large arrays, stored as one value.

use std::{collections::BTreeMap, hint::black_box, time::Instant};

use mobula::{Array, prelude::*};
use mobula_benches::{
    floors::copy,
    sampling::{Plan, Summary, measure as sample, timed},
    table::{Figure, Floor, Table, Unit},
};

use crate::{Options, Result};

type Map = BTreeMap<u32, Array<f64>>;

const ARRAYS: u32 = 20;

/// Returns the sum of one element of each array.
#[remote]
fn ends(map: &Map) -> f64 {
    map.values().map(|array| array[array.len() - 1]).sum()
}

pub(crate) fn measure(options: &Options) -> Result<Table> {
    let elements = options.size(10_000_000, 1_000_000);
    let bytes = elements * size_of::<f64>() * ARRAYS as usize;
    let one = copy(elements, options.slow(10, 1.0));
    let copying = Floor {
        value: one.value * f64::from(ARRAYS),
        ..one
    };
    let rt = Runtime::builder()
        .workers(1)
        .store_capacity(bytes as u64 + (256 << 20))
        .start()?;

    let private: Map = (0..ARRAYS)
        .map(|key| (key, Array::from(vec![f64::from(key); elements])))
        .collect();
    // This put also warms up the store.
    let copied = put(&rt, &private, options.slow(4, 3.0))?;
    let object = rt.put(&private)?;
    drop(private);
    let stored = object.get()?;
    let shared = put(&rt, &stored, options.quick(0.5))?;

    let in_driver = sample(options.quick(0.5), || {
        let mut result = Ok(0.0);
        let seconds = timed(|| result = object.get().map(|map| ends(&map)));
        result.map(|sum| {
            black_box(sum);
            seconds
        })
    })?;
    let in_task = sample(options.quick(0.5), || {
        let mut result = Ok(0.0);
        let seconds = timed(|| result = rt.spawn(ends::remote(&object)).get());
        result.map(|sum| {
            black_box(sum);
            seconds
        })
    })?;

    let figure = |name: &str, ours| Figure::new(name, Unit::Time, ours).against(&[copying]);
    Ok(Table {
        row: 5,
        title: format!("A map of {ARRAYS} arrays of {elements} `f64`; floor: copying all of them"),
        figures: vec![
            figure("`put`, arrays in private memory", copied),
            figure("`put`, arrays in the store", shared),
            figure("`get` in the driver, one element of each", in_driver),
            figure("task that reads one element of each", in_task),
        ],
    })
}

fn put(rt: &Runtime, map: &Map, plan: Plan) -> Result<Summary> {
    Ok(sample(plan, || {
        let start = Instant::now();
        let object = rt.put(map)?;
        let elapsed = start.elapsed();
        drop(object);
        Ok::<_, mobula::Error>(elapsed.as_secs_f64())
    })?)
}
