//! Many processes update one array in place. In other languages, programs do this with a shared
//! buffer, an index range for each process, and no check.
//!
//! The array is split into parts that do not overlap. Each call takes a part as `&mut [Particle]`,
//! and no other code sees these particles until the call has ended. No particle is copied or sent.
//!
//! Every particle has random numbers of its own, so the result does not depend on the process that
//! moves it. The program compares it, bit by bit, with that of one loop in this process.
//! `benches/peers/rawarray.py` does the same with `multiprocessing.RawArray` and numpy. The
//! checksums are equal.
//!
//! `cargo run --release -p mobula-examples --example particles_in_place [-- --small]`

use anyhow::{Result, ensure};
use bytemuck::{Pod, Zeroable};
use mobula::{SharedArray, prelude::*};
use mobula_examples::{
    Random,
    compare::{Times, faster, shown, small},
    table,
};

/// The number of times that both ways are measured, in turn.
const REPETITIONS: usize = 5;

#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
struct Particle {
    x: f64,
    v: f64,
    /// The state of the particle's random numbers.
    random: u64,
}

/// Moves each particle by this many steps.
#[remote]
fn advance(particles: &mut [Particle], steps: usize) {
    for particle in particles {
        let mut random = Random::resume(particle.random);
        let Particle { mut x, mut v, .. } = *particle;
        for _ in 0..steps {
            v = v * 0.99 + (random.uniform() - 0.5);
            x += v * 0.01;
        }
        *particle = Particle {
            x,
            v,
            random: random.state(),
        };
    }
}

fn begin(particles: &mut [Particle]) {
    for (n, particle) in (0..).zip(particles) {
        *particle = Particle {
            random: Random::new(1, n).state(),
            ..Particle::default()
        };
    }
}

/// A measured case: a number of particles, moved in `rounds` of `steps` each.
struct Case {
    particles: usize,
    rounds: usize,
    steps: usize,
}

/// Moves the particles. Each round is one call per worker and a wait for all parts. Between rounds
/// the driver could read all particles.
fn in_place(array: &SharedArray<Particle>, workers: usize, case: &Case) -> Result<()> {
    for _ in 0..case.rounds {
        for part in array.chunks_mut(case.particles.div_ceil(workers))? {
            advance::remote(part, case.steps).spawn().detach();
        }
        let incomplete = array.settle()?;
        ensure!(incomplete.is_empty(), "a call failed: {}", incomplete[0]);
    }
    Ok(())
}

/// Measures a case, and compares the results. Returns a line of the table.
fn measure(rt: &Runtime, case: &Case) -> Result<[String; 6]> {
    let workers = rt.workers();
    let (mut alone, mut ours) = (Times::default(), Times::default());
    let mut particles = vec![Particle::default(); case.particles];
    let array = rt.shared_array(case.particles, Particle::default())?;
    for _ in 0..REPETITIONS {
        begin(&mut particles);
        alone.time(|| {
            for _ in 0..case.rounds {
                advance(&mut particles, case.steps);
            }
        });
        array.with_mut(begin)?;
        ours.time(|| in_place(&array, workers, case))?;
        let bytes = bytemuck::cast_slice::<_, u8>;
        ensure!(
            array.with(|all| bytes(all) == bytes(&particles))?,
            "workers and this process differ"
        );
    }
    let bits = particles.iter().map(|particle| particle.x.to_bits());
    let (alone, ours) = (alone.median(), ours.median());
    Ok([
        format!(
            "{} x {} in {} rounds",
            case.particles,
            case.rounds * case.steps,
            case.rounds
        ),
        shown(alone),
        shown(ours),
        faster(alone, ours),
        format!(
            "{:.0} M/s",
            (case.particles * case.rounds * case.steps) as f64 / ours / 1e6
        ),
        format!("{:016x}", bits.fold(0, |all, bits| all ^ bits)),
    ])
}

#[mobula::main]
fn main() -> Result<()> {
    let less = if small()? { 10 } else { 1 };
    let rt = Runtime::start()?;
    println!(
        "Particles x steps, updated in place by {} workers, medians of {REPETITIONS}:",
        rt.workers()
    );
    let few = Case {
        particles: 1000,
        rounds: 1,
        steps: 10_000 / less,
    };
    let many = Case {
        particles: 1_000_000 / less,
        rounds: 4,
        steps: 5,
    };
    let headings = [
        "particles x steps",
        "one loop",
        "in place",
        "times as fast",
        "steps",
        "checksum",
    ];
    table::print(headings, [measure(&rt, &few)?, measure(&rt, &many)?]);
    println!("All results are the same in all bits.");
    Ok(())
}
