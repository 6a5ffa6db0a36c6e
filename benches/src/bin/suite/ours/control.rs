//! Rows of tasks that are cancelled, have priority, or have other options.

use std::{
    collections::VecDeque,
    thread,
    time::{Duration, Instant},
};

use mobula::prelude::*;
use mobula_benches::sampling::{Sampler, Summary, measure as sample, timed};

use super::{Out, WORKERS, many::batch, nothing, runtime};
use crate::Result;

#[remote]
fn busy() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(20) {
        std::hint::spin_loop();
    }
}

/// Keeps its worker busy until the task is cancelled. Checks for the cancellation in a loop.
#[remote]
fn spin() {
    while !mobula::is_cancelled() {
        std::hint::spin_loop();
    }
}

/// Keeps its worker until the task is cancelled, and sleeps between its checks.
#[remote]
fn hold() {
    while !mobula::is_cancelled() {
        thread::sleep(Duration::from_micros(200));
    }
}

pub(crate) fn measure(out: &Out) -> Result<()> {
    out.attempt("cancel_queued", || {
        let tasks = 10_000;
        let rt = runtime()?;
        batch(&rt, 1000)?;
        let times = sample(out.slow(20, 2.0), || -> Result<f64> {
            let held = rt.spawn_all((0..WORKERS).map(|_| hold::remote()));
            // Both tasks must have begun. Otherwise queued tasks would run beside one of them.
            thread::sleep(Duration::from_millis(5));
            let refs = rt.spawn_all((0..tasks).map(|_| nothing::remote()));
            let seconds = timed(|| refs.cancel());
            let alive = refs.iter().filter(|task| task.get().is_ok()).count();
            held.cancel();
            if alive > 0 {
                return Err(format!("{alive} tasks ran though they were cancelled").into());
            }
            Ok(seconds)
        })?;
        out.row("cancel_queued", super::per_second(f64::from(tasks), times));
        Ok(())
    });
    out.attempt("cancel_running", || {
        let rt = Runtime::builder().workers(1).start()?;
        rt.spawn(nothing::remote()).get()?;
        let times = sample(out.slow(200, 2.0), || {
            let running = rt.spawn(spin::remote());
            let next = rt.spawn(nothing::remote());
            thread::sleep(Duration::from_millis(1));
            let start = Instant::now();
            running.cancel();
            next.get()?;
            Ok::<_, mobula::Error>(start.elapsed().as_secs_f64())
        })?;
        out.row("cancel_running", times);
        Ok(())
    });
    out.attempt("overtake", || {
        let rt = runtime()?;
        batch(&rt, 1000)?;
        let times = sample(out.slow(100, 3.0), || -> Result<f64> {
            // Each task takes some microseconds, so some still wait when the last one is spawned.
            let refs = rt.spawn_all((0..100_000).map(|_| busy::remote()));
            let first = nothing::remote().priority(1);
            let start = Instant::now();
            rt.spawn(first).get()?;
            let seconds = start.elapsed().as_secs_f64();
            if refs.iter().all(ObjectRef::is_ready) {
                return Err("the others had all run before".into());
            }
            refs.cancel();
            Ok(seconds)
        })?;
        out.row("overtake", times);
        Ok(())
    });
    out.attempt("limits_late", || {
        let rt = runtime()?;
        batch(&rt, 1000)?;
        let held = rt.spawn_all((0..WORKERS).map(|_| hold::remote()));
        thread::sleep(Duration::from_millis(5));
        // Ten limits pass in each millisecond. All tasks run until their limits.
        let limits =
            (0..10_000).map(|n| Duration::from_millis(1000) + n * Duration::from_micros(100));
        let mut due = VecDeque::new();
        let mut all = Vec::new();
        for limit in limits {
            let began = Instant::now();
            let task = rt.spawn(nothing::remote().deadline(limit));
            due.push_back((task.clone(), began + limit));
            all.push(task);
        }
        let mut late = Vec::new();
        for task in rt.as_completed(all) {
            let now = Instant::now();
            // The limits pass in the order of their times.
            let at = due.iter().position(|(other, _)| *other == task);
            let Some((_, limit)) = at.and_then(|at| due.remove(at)) else {
                return Err("a task came twice".into());
            };
            late.push(now.saturating_duration_since(limit).as_secs_f64());
            let error = task.get().err();
            if !error.is_some_and(|error| error.is_task_timeout()) {
                return Err("a task had no limit, or did not pass it".into());
            }
        }
        held.cancel();
        out.row("limits_late", Summary::of(late));
        Ok(())
    });
    // The calls with options take turns with calls without options.
    out.attempt("with_options", || {
        let rt = runtime()?;
        batch(&rt, 1000)?;
        let plan = out.fast(1.0);
        let mut samplers: [Sampler; 3] = std::array::from_fn(|_| Sampler::new(plan));
        let limit = Duration::from_secs(60);
        while samplers[0].more() {
            let calls = [
                nothing::remote(),
                nothing::remote().retries(1),
                nothing::remote().timeout(limit),
            ];
            for (call, sampler) in calls.into_iter().zip(&mut samplers) {
                let mut result = Ok(());
                sampler.add(timed(|| result = rt.spawn(call).get()));
                result?;
            }
        }
        let [without, options, timeout] = samplers.map(Sampler::summary);
        out.floor("no_options", without);
        out.row("with_options", options);
        out.row("with_timeout", timeout);
        Ok(())
    });
    Ok(())
}
