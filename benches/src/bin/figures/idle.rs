//! Row 7: the CPU time and wake-ups of an idle runtime.

use std::{thread, time::Duration};

use mobula::prelude::*;
use mobula_benches::{
    machine::cores,
    processes::activity,
    sampling::Summary,
    table::{Figure, Table, Unit},
};

use crate::{
    Options, Result,
    round_trips::{nothing, of_workers},
};

/// The time that the processes get to become idle.
const SETTLING: Duration = Duration::from_millis(500);

#[remote]
fn sleeps(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}

pub(crate) fn measure(options: &Options) -> Result<Table> {
    let seconds = options.size(3, 1) as u64;
    let time = Duration::from_secs(seconds);
    let rt = Runtime::builder().workers(cores()).start()?;
    rt.get(rt.spawn_all((0..1000).map(|_| nothing::remote())))?;
    let array = rt.put(&vec![1.0; 100_000])?;
    let mut figures = quiet("nothing to do", &rt, time)?;

    let task = sleeps::remote((time + 3 * SETTLING).as_millis() as u64);
    let waiting = {
        let result = rt.spawn(task);
        thread::spawn(move || result.get())
    };
    figures.extend(quiet("blocked in `get`", &rt, time)?);
    waiting
        .join()
        .map_err(|_| "the waiting thread panicked")??;
    drop(array);
    let of = of_workers(cores());
    let title = format!("Idleness: driver and {of} together, in {seconds} s");
    Ok(Table {
        row: 7,
        title,
        figures,
    })
}

fn quiet(state: &str, rt: &Runtime, time: Duration) -> Result<Vec<Figure>> {
    thread::sleep(SETTLING);
    let pids = || rt.worker_pids().into_iter().chain([std::process::id()]);
    let before = activity(pids())?;
    thread::sleep(time);
    let done = activity(pids())? - before;
    Ok(vec![
        Figure::new(
            format!("{state}: processor time"),
            Unit::Time,
            Summary::single(done.cpu.as_secs_f64()),
        ),
        Figure::new(
            format!("{state}: sleeps of threads"),
            Unit::Count,
            Summary::single(done.sleeps as f64),
        ),
    ])
}
