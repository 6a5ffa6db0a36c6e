//! Rows of particles that workers move in place, beside threads and one loop.

use std::sync::Mutex;

use mobula::prelude::*;
use mobula_benches::{
    particles::{Particle, advance, begin, checksum},
    sampling::{Sampler, timed},
};

use super::{
    super::{Out, WORKERS, per_second, runtime_for},
    clocked, on_threads,
};
use crate::Result;

/// A number of particles that move in rounds of steps. After each round, all workers wait for each
/// other.
pub(super) struct Case {
    pub(super) row: &'static str,
    loop_floor: &'static str,
    threads_floor: &'static str,
    particles: usize,
    rounds: usize,
    /// The steps of a round in a full run, and in a quick run.
    steps: [usize; 2],
}

pub(super) const CASES: &[Case] = &[
    Case {
        row: "particles_few",
        loop_floor: "loop_particles_few",
        threads_floor: "threads_particles_few",
        particles: 1000,
        rounds: 1,
        steps: [10_000, 1_000],
    },
    Case {
        row: "particles_many",
        loop_floor: "loop_particles_many",
        threads_floor: "threads_particles_many",
        particles: 1_000_000,
        rounds: 4,
        steps: [5, 5],
    },
];

#[remote]
fn moves(particles: &mut [Particle], steps: usize) {
    advance(particles, steps);
}

pub(super) fn measure(out: &Out, case: &Case) -> Result<()> {
    let Case {
        particles, rounds, ..
    } = *case;
    let steps = out.size(case.steps[0], case.steps[1]);
    let rt = runtime_for(particles * size_of::<Particle>())?;
    let array = rt.shared_array(particles, Particle::default())?;
    let mut private = vec![Particle::default(); particles];
    let part = particles.div_ceil(WORKERS);
    let plan = out.slow(10, 2.0);
    let mut samplers: [Sampler; 3] = std::array::from_fn(|_| Sampler::new(plan));
    let [ours, bare, threads] = &mut samplers;
    let mut expected = 0;
    while ours.more() {
        begin(&mut private);
        bare.add(timed(|| {
            (0..rounds).for_each(|_| advance(&mut private, steps))
        }));
        expected = checksum(&private);

        array.with_mut(begin)?;
        let (incomplete, time) = clocked(|| {
            let mut incomplete = Vec::new();
            for _ in 0..rounds {
                for part in array.chunks_mut(part)? {
                    moves::remote(part, steps).spawn().detach();
                }
                incomplete.append(&mut array.settle()?);
            }
            Ok::<_, mobula::Error>(incomplete)
        })?;
        if !incomplete.is_empty() || array.with(checksum)? != expected {
            return Err("workers came to something else".into());
        }
        ours.add(time.as_secs_f64());

        begin(&mut private);
        let (_, time) = clocked(|| {
            (0..rounds).try_for_each(|_| {
                let parts: Vec<_> = private.chunks_mut(part).map(Mutex::new).collect();
                on_threads(|worker| {
                    // The lock is free, since each thread has a part of its own.
                    if let Ok(mut part) = parts[worker].lock() {
                        advance(&mut part, steps);
                    }
                })
                .map(drop)
            })
        })?;
        if checksum(&private) != expected {
            return Err("threads came to something else".into());
        }
        threads.add(time.as_secs_f64());
    }
    let count = (particles * rounds * steps) as f64;
    let [ours, bare, threads] = samplers.map(|times| per_second(count, times.summary()));
    // The checksum allows a comparison with the peer's arithmetic.
    out.row_with(case.row, ours, format!("checksum {expected:016x}"));
    out.floor(case.loop_floor, bare);
    out.floor(case.threads_floor, threads);
    Ok(())
}
