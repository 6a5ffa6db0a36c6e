//! Follows a hidden number through noisy measurements with a particle filter of half a million
//! guesses (particles). In each step, particles that explain the measurement well are copied, the
//! others are dropped, and all move at random.
//!
//! A generation of particles is one array in the store. Sixteen tasks read all of it, since any
//! particle may be copied anywhere. Each task makes one part of the next generation, and one more
//! task joins the parts. The driver spawns all tasks of all steps at once and waits only at the
//! end: refs declare the dependencies. The random numbers belong to the step and the part, not to a
//! worker. So the results equal, bit by bit, those of one loop in this process.
//!
//! `cargo run --release -p mobula-examples --example particle_filter`

use anyhow::{Result, ensure};
use bytemuck::{Pod, Zeroable};
use mobula::{Array, prelude::*};
use mobula_examples::{Random, timed};

const PARTICLES: usize = 1 << 19;
const PARTS: usize = 16;
const STEPS: u64 = 25;

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Particle {
    /// The guess.
    x: f64,
    /// In a part: how well the particle explains the measurement. In a generation: the sum of these
    /// weights up to this particle.
    weight: f64,
}

/// Makes one part of the next generation.
#[remote]
fn advance(
    generation: &[Particle],
    step: u64,
    part: usize,
    measured: f64,
) -> mobula::Result<Array<Particle>> {
    let length = PARTICLES / PARTS;
    let spacing = generation[PARTICLES - 1].weight / PARTICLES as f64;
    // All parts use this number. So together they take particles at equal distances of weight.
    let start = Random::new(step, 0).uniform();
    let mut random = Random::new(step, 1 + part as u64);
    let position = |n: usize| ((part * length + n) as f64 + start) * spacing;
    let mut parent = generation.partition_point(|p| p.weight < position(0));
    Array::build(length, |particles| {
        for (n, particle) in particles.iter_mut().enumerate() {
            while parent + 1 < PARTICLES && generation[parent].weight < position(n) {
                parent += 1;
            }
            let x = moved(generation[parent].x, step, &mut random);
            *particle = Particle {
                x,
                weight: (-0.5 * (measured - gauge(x)).powi(2)).exp(),
            };
        }
    })
}

/// Joins the parts to a generation.
#[remote]
fn joined(parts: Vec<Array<Particle>>) -> mobula::Result<Array<Particle>> {
    Array::build(PARTICLES, |generation| {
        let mut sum = 0.0;
        for (to, from) in generation.iter_mut().zip(parts.iter().flatten()) {
            sum += from.weight;
            *to = Particle {
                x: from.x,
                weight: sum,
            };
        }
    })
}

/// Returns the mean of all guesses, by weight.
#[remote]
fn estimate(generation: &[Particle]) -> f64 {
    let mut before = 0.0;
    let mut sum = 0.0;
    for particle in generation {
        sum += particle.x * (particle.weight - before);
        before = particle.weight;
    }
    sum / before
}

/// Moves the hidden number by one step, by the model of Gordon, Salmond and Smith.
fn moved(x: f64, step: u64, random: &mut Random) -> f64 {
    0.5 * x
        + 25.0 * x / (1.0 + x * x)
        + 8.0 * (1.2 * step as f64).cos()
        + 10.0_f64.sqrt() * random.normal()
}

/// Returns the measurement of a number without noise. It does not show the sign.
fn gauge(x: f64) -> f64 {
    x * x / 20.0
}

/// Makes the first particles. All have the same weight.
fn first(generation: &mut [Particle]) {
    let mut random = Random::new(0, 1);
    for (n, particle) in generation.iter_mut().enumerate() {
        *particle = Particle {
            x: random.normal(),
            weight: (n + 1) as f64,
        };
    }
}

fn alone(measured: &[f64]) -> mobula::Result<Vec<f64>> {
    let mut generation = Array::build(PARTICLES, first)?;
    let mut estimates = Vec::new();
    for (step, &measured) in (1..).zip(measured) {
        let parts = (0..PARTS)
            .map(|part| advance(&generation, step, part, measured))
            .collect::<Result<_, _>>()?;
        generation = joined(parts)?;
        estimates.push(estimate(&generation));
    }
    Ok(estimates)
}

fn on_workers(rt: &Runtime, measured: &[f64]) -> mobula::Result<Vec<f64>> {
    let mut generation = rt.put_with(PARTICLES, first)?;
    let mut estimates = Vec::new();
    for (step, &measured) in (1..).zip(measured) {
        let parts =
            rt.spawn_all((0..PARTS).map(|part| advance::remote(&generation, step, part, measured)));
        generation = joined::remote(&parts).spawn();
        estimates.push(estimate::remote(&generation).spawn());
    }
    rt.get(estimates)
}

#[mobula::main]
fn main() -> Result<()> {
    // The filter sees the measurements, but not the true numbers.
    let mut random = Random::new(7, 7);
    let mut x = random.normal();
    let (truth, measured): (Vec<f64>, Vec<f64>) = (1..=STEPS)
        .map(|step| {
            x = moved(x, step, &mut random);
            (x, gauge(x) + random.normal())
        })
        .unzip();

    let (expected, time_alone) = timed(|| alone(&measured));
    let expected = expected?;
    let rt = Runtime::start()?;
    let (estimates, time) = timed(|| on_workers(&rt, &measured));
    let estimates = estimates?;

    println!("step  truth  estimate");
    for (step, (truth, estimate)) in truth.iter().zip(&estimates).enumerate().step_by(4) {
        println!("{:4} {truth:6.2} {estimate:9.2}", step + 1);
    }
    let error = (truth
        .iter()
        .zip(&estimates)
        .map(|(a, b)| (a - b).powi(2))
        .sum::<f64>()
        / STEPS as f64)
        .sqrt();
    println!("root mean square error over {STEPS} steps: {error:.2}");
    println!(
        "in this process: {time_alone:.2?}, on {} workers: {time:.2?}",
        rt.workers()
    );

    let bits = |numbers: &[f64]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    ensure!(
        bits(&estimates) == bits(&expected),
        "workers and this process differ"
    );
    println!("The estimates are the same in all bits.");
    ensure!(error < 8.0, "the filter lost the number");
    Ok(())
}
