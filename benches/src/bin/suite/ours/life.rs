//! Rows of the start, and of the CPU time and wake-ups of an idle runtime.

use std::{
    process, thread,
    time::{Duration, Instant},
};

use mobula::prelude::*;
use mobula_benches::{
    floors::program,
    processes::activity,
    sampling::{Summary, measure as sample},
};

use super::{Out, many::batch, nothing, runtime};
use crate::Result;

/// The time that the processes get to become idle.
const SETTLING: Duration = Duration::from_millis(500);

pub(crate) fn measure(out: &Out) -> Result<()> {
    out.floor(
        "program",
        Summary::single(program(out.slow(20, 0.5))?.value),
    );
    for workers in [2, 16] {
        let row = format!("start_{workers}");
        out.attempt(&row, || {
            let times = sample(out.slow(20, 2.0), || {
                let start = Instant::now();
                let rt = Runtime::builder().workers(workers).start()?;
                rt.spawn(nothing::remote()).get()?;
                let seconds = start.elapsed().as_secs_f64();
                rt.shutdown();
                Ok::<_, mobula::Error>(seconds)
            })?;
            out.row(&row, times);
            Ok(())
        });
    }
    out.attempt("idle_cpu", || {
        let rt = runtime()?;
        batch(&rt, 1000)?;
        thread::sleep(SETTLING);
        let pids = || rt.worker_pids().into_iter().chain([process::id()]);
        let before = activity(pids())?;
        let start = Instant::now();
        thread::sleep(Duration::from_secs(out.size(5, 1) as u64));
        let done = activity(pids())? - before;
        let seconds = start.elapsed().as_secs_f64();
        out.row(
            "idle_cpu",
            Summary::single(done.cpu.as_secs_f64() / seconds),
        );
        out.row(
            "idle_wakeups",
            Summary::single(done.sleeps as f64 / seconds),
        );
        Ok(())
    });
    Ok(())
}
