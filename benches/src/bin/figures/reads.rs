//! Row 4: reads of stored objects. A read copies nothing, so its time does not depend on the size.

use std::hint::black_box;

use mobula::{Array, prelude::*};
use mobula_benches::{
    floors::{copy, ping_pong},
    sampling::{Sampler, timed},
    table::{Figure, Floor, Table, Unit},
};

use crate::{Options, Result, round_trips::nothing};

/// Reads one element.
#[remote]
fn middle(numbers: &[f64]) -> f64 {
    numbers[numbers.len() / 2]
}

/// The number of views in one sample. A single view takes less time than a reading of the clock.
const VIEWS: usize = 100;

struct Object {
    megabytes: usize,
    array: ObjectRef<Array<f64>>,
    in_task: Sampler,
    in_driver: Sampler,
}

pub(crate) fn measure(options: &Options) -> Result<Table> {
    let floors = ping_pong(options.quick(0.3))?;
    let sizes = [1, options.size(800, 80)];
    let capacity = sizes.iter().sum::<usize>() as u64 * 1_000_000 + (64 << 20);
    let rt = Runtime::builder()
        .workers(1)
        .store_capacity(capacity)
        .start()?;
    let plan = options.quick(1.0);
    let mut objects = Vec::new();
    for megabytes in sizes {
        let array = rt.put_with(megabytes * 1_000_000 / 8, |out: &mut [f64]| out.fill(1.0))?;
        let (in_task, in_driver) = (Sampler::new(plan), Sampler::new(plan));
        objects.push(Object {
            megabytes,
            array,
            in_task,
            in_driver,
        });
    }
    // The measurements take turns, so other load of the machine affects all alike.
    let mut empty = Sampler::new(plan);
    while empty.more() {
        let mut result = Ok(());
        empty.add(timed(|| result = rt.spawn(nothing::remote()).get()));
        result?;
        for object in &mut objects {
            let mut result = Ok(0.0);
            object.in_task.add(timed(|| {
                result = rt.spawn(middle::remote(&object.array)).get()
            }));
            black_box(result?);
        }
    }
    for object in &mut objects {
        while object.in_driver.more() {
            let mut result = Ok(());
            let seconds = timed(|| result = (0..VIEWS).try_for_each(|_| touch(&object.array)));
            object.in_driver.add(seconds / VIEWS as f64);
            result?;
        }
    }
    let mut figures = Vec::new();
    let empty = empty.summary();
    let task = Floor {
        name: "empty task",
        value: empty.median,
    };
    figures.push(Figure::new("empty task, there and back", Unit::Time, empty).against(&floors));
    for object in objects {
        let megabytes = object.megabytes;
        let copying = copy(megabytes * 1_000_000 / 8, options.slow(5, 0.5));
        figures.push(
            Figure::new(
                format!("task that reads of {megabytes} MB"),
                Unit::Time,
                object.in_task.summary(),
            )
            .against(&[task, copying]),
        );
        figures.push(
            Figure::new(
                format!("`view` of {megabytes} MB in the driver"),
                Unit::Time,
                object.in_driver.summary(),
            )
            .against(&[copying]),
        );
    }
    Ok(Table {
        row: 4,
        title: "Reading one element of an array; floor: copying all of it".into(),
        figures,
    })
}

fn touch(array: &ObjectRef<Array<f64>>) -> mobula::Result<()> {
    let numbers = array.view()?;
    black_box(numbers[numbers.len() / 2]);
    Ok(())
}
