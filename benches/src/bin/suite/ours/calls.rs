//! Rows of single empty tasks.

use std::{
    thread,
    time::{Duration, Instant},
};

use mobula::prelude::*;
use mobula_benches::{
    busy::beside_work,
    floors::{Rings, cold_ping_pong, message_game, message_ping_pong, ping_pong},
    neighbour::Neighbour,
    sampling::{Plan, Sampler, Summary, measure as sample, timed},
};
use tokio::runtime as tokio_runtime;

use super::{Out, WORKERS, nothing, per_second, runtime};
use crate::Result;

/// The number of times that the round trip and its floor are measured.
const TURNS: usize = 21;

pub(crate) fn measure(out: &Out) -> Result<()> {
    floors(out)?;
    let rt = runtime()?;
    let plan = out.fast(1.5);
    out.attempt("roundtrip", || {
        // The round trip and its floor take turns. The distance and the neighbours of the cores
        // change from second to second.
        let turn = || -> Result<[Summary; 2]> {
            let floor = message_game(Rings::Indexed, out.fast(0.1))?;
            Ok([sample(out.fast(0.1), || blocking(&rt))?, floor])
        };
        let turns = (0..TURNS).map(|_| turn()).collect::<Result<_>>()?;
        let [times, floor] = Summary::middle_turn(turns);
        out.floor("spin_message", floor);
        out.row("roundtrip", times);
        out.row("tasks_sync", per_second(1.0, times));
        Ok(())
    });
    let threads = || {
        let mut builder = tokio_runtime::Builder::new_multi_thread();
        builder.worker_threads(WORKERS).build()
    };
    out.attempt("await_outside", || {
        out.row(
            "await_outside",
            threads()?.block_on(awaiting(rt.clone(), plan))?,
        );
        Ok(())
    });
    out.attempt("await_inside", || {
        let tokio = threads()?;
        let times = tokio.block_on(tokio.spawn(awaiting(rt.clone(), plan)))??;
        out.row("await_inside", times);
        Ok(())
    });
    out.attempt("await_one_thread", || {
        let tokio = tokio_runtime::Builder::new_current_thread().build()?;
        out.row(
            "await_one_thread",
            tokio.block_on(awaiting(rt.clone(), plan))?,
        );
        Ok(())
    });
    out.attempt("roundtrip_busy", || {
        let times = beside_work(2, || sample(plan, || blocking(&rt)))?;
        out.row("roundtrip_busy", times);
        Ok(())
    });
    out.attempt("roundtrip_neighbour", || {
        // The system places the two processes beside the neighbour at their start, and the
        // placement stays. So each run starts a runtime. The floor has the same neighbour.
        let _neighbour = Neighbour::start()?;
        let run = |_| -> Result<[Summary; 2]> {
            let floor = message_game(Rings::Indexed, out.fast(0.1))?;
            let rt = runtime()?;
            Ok([sample(out.fast(0.3), || blocking(&rt))?, floor])
        };
        let runs = (0..out.size(10, 3)).map(run).collect::<Result<Vec<_>>>()?;
        let note = format!("the middle one of {} runs", runs.len());
        let [times, floor] = Summary::middle_turn(runs);
        out.floor("spin_message_neighbour", floor);
        out.row_with("roundtrip_neighbour", times, note);
        Ok(())
    });
    out.attempt("await_busy", || {
        let tokio = threads()?;
        let times = beside_work(2, || tokio.block_on(awaiting(rt.clone(), plan)))?;
        out.row("await_busy", times);
        Ok(())
    });
    out.attempt("cold", || {
        let once = |_| {
            thread::sleep(Duration::from_secs(1));
            blocking(&rt)
        };
        let times: Result<Vec<f64>, _> = (0..out.size(8, 2)).map(once).collect();
        out.row("cold", Summary::of(times?));
        Ok(())
    });
    Ok(())
}

fn floors(out: &Out) -> Result<()> {
    out.floor("spin_own", message_ping_pong(Rings::Mobula, out.fast(1.0))?);
    for floor in ping_pong(out.fast(1.0))? {
        out.floor(
            &format!("{}_word", floor.name),
            Summary::single(floor.value),
        );
    }
    out.floor("sleep_cold", Summary::of(cold_ping_pong(out.size(8, 2))?));
    Ok(())
}

/// Returns the seconds of one round trip.
pub(crate) fn blocking(rt: &Runtime) -> mobula::Result<f64> {
    let mut result = Ok(());
    let seconds = timed(|| result = rt.spawn(nothing::remote()).get());
    result.map(|()| seconds)
}

async fn awaiting(rt: Runtime, plan: Plan) -> mobula::Result<Summary> {
    let mut sampler = Sampler::new(plan);
    while sampler.more() {
        let start = Instant::now();
        rt.spawn(nothing::remote()).await?;
        sampler.add(start.elapsed().as_secs_f64());
    }
    Ok(sampler.summary())
}
