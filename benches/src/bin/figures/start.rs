//! Row 6: the start of a runtime until its first result, and its end.

use std::time::Instant;

use mobula::prelude::*;
use mobula_benches::{
    floors::program,
    sampling::Sampler,
    table::{Figure, Table, Unit},
};

use crate::{Options, Result, round_trips::nothing};

pub(crate) fn measure(options: &Options) -> Result<Table> {
    let floor = program(options.slow(20, 0.5))?;
    let mut figures = Vec::new();
    for workers in [2, 16] {
        let plan = options.slow(20, 3.0);
        let (mut started, mut first, mut ended) =
            (Sampler::new(plan), Sampler::new(plan), Sampler::new(plan));
        while first.more() {
            let start = Instant::now();
            let rt = Runtime::builder().workers(workers).start()?;
            started.add(start.elapsed().as_secs_f64());
            rt.spawn(nothing::remote()).get()?;
            first.add(start.elapsed().as_secs_f64());
            let end = Instant::now();
            rt.shutdown();
            ended.add(end.elapsed().as_secs_f64());
        }
        for (name, sampler) in [
            ("start", started),
            ("start to the first result", first),
            ("shutdown", ended),
        ] {
            let name = format!("{name}, {workers} workers");
            figures.push(Figure::new(name, Unit::Time, sampler.summary()).against(&[floor]));
        }
    }
    Ok(Table {
        row: 6,
        title: "Start and end of a runtime; floor: a process that does nothing".into(),
        figures,
    })
}
