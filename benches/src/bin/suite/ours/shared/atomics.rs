//! Rows of counters that two processes change at the same time.

use std::sync::{
    Barrier,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use mobula::{AtomicArray, prelude::*};
use mobula_benches::{
    floors::Pinned,
    sampling::{Sampler, timed},
};

use super::{
    super::{Out, WORKERS, runtime},
    gather, on_threads,
};
use crate::Result;

/// The distance between two counters, in words. At this distance they share no pair of cache lines.
const APART: usize = 16;

/// Returns the seconds for this many increments, from the moment at which all workers are ready.
/// Each worker is pinned to a core. Two workers that took turns on one core would not contend.
fn count(worker: usize, counter: &AtomicU64, times: u64, meet: impl FnOnce()) -> f64 {
    let _core = Pinned::to(worker);
    meet();
    timed(|| {
        for _ in 0..times {
            counter.fetch_add(1, Relaxed);
        }
    })
}

#[remote]
fn counts(
    counters: &AtomicArray<AtomicU64>,
    worker: usize,
    apart: usize,
    times: u64,
    arrived: &AtomicArray<AtomicU64>,
) -> f64 {
    let counter = &counters[worker * apart];
    count(worker, counter, times, || gather(arrived))
}

/// Returns the increments per second of all workers. The slowest worker's time counts for all.
fn rate(times: u64, seconds: Vec<f64>) -> f64 {
    let slowest = seconds.into_iter().fold(0.0, f64::max);
    (WORKERS as u64 * times) as f64 / slowest
}

pub(super) fn measure(out: &Out) -> Result<()> {
    let rt = runtime()?;
    let times = out.size(500_000, 50_000) as u64;
    for (row, floor, apart) in [
        ("atomic_one", "threads_atomic_one", 0),
        ("atomic_apart", "threads_atomic_apart", APART),
    ] {
        let counters = rt.atomic_array::<AtomicU64>(WORKERS * APART)?;
        let private: Vec<AtomicU64> = (0..WORKERS * APART).map(|_| AtomicU64::new(0)).collect();
        let threads = Barrier::new(WORKERS);
        let plan = out.slow(20, 1.0);
        let mut samplers: [Sampler; 2] = std::array::from_fn(|_| Sampler::new(plan));
        let [ours, bare] = &mut samplers;
        let mut samples = 0;
        while ours.more() {
            samples += 1;
            let arrived = rt.atomic_array(1)?;
            let calls = (0..WORKERS)
                .map(|worker| counts::remote(&counters, worker, apart, times, &arrived));
            ours.add(rate(times, rt.get(rt.spawn_all(calls))?));
            let seconds = on_threads(|worker| {
                let meet = || {
                    threads.wait();
                };
                count(worker, &private[worker * apart], times, meet)
            })?;
            bare.add(rate(times, seconds));
        }
        if counters.to_vec().into_iter().sum::<u64>() != samples * WORKERS as u64 * times {
            return Err("an increment was lost".into());
        }
        let [ours, bare] = samplers.map(Sampler::summary);
        out.row(row, ours);
        out.floor(floor, bare);
    }
    Ok(())
}
