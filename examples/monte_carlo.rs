//! Estimates two numbers by chance, with error bars: pi, and the price of a European call option.
//!
//! Random number n of a seed is a function of the seed and of n alone. So each task makes the
//! numbers of its own samples on any worker. The estimates of tasks are combined in pairs of
//! neighbours, in an order that depends on their number only. So the result has the same bits for
//! any number of workers, and if the calls run in the program itself. The program checks that. It
//! also checks that the error bars contain the known values: pi, and the price by the formula of
//! Black and Scholes.
//!
//! `cargo run --release -p mobula-examples --example monte_carlo`

use std::f64::consts::PI;

use anyhow::{Context, Result, ensure};
use mobula::{EngineKind, prelude::*};
use mobula_examples::{Random, table, timed};
use serde::{Deserialize, Serialize};

const SEED: u64 = 2_026;
const SAMPLES: u64 = 4_000_000;
const SAMPLES_OF_A_TASK: u64 = 50_000;

/// The number of random numbers in a sample.
const DRAWS: u64 = 2;

/// A call option on an asset whose price follows a geometric Brownian motion.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct CallOption {
    spot: f64,
    strike: f64,
    rate: f64,
    volatility: f64,
    years: f64,
}

const OPTION: CallOption = CallOption {
    spot: 100.0,
    strike: 105.0,
    rate: 0.05,
    volatility: 0.2,
    years: 1.0,
};

impl CallOption {
    /// Returns the payment in today's money if the asset moves by this many standard deviations.
    fn value(self, normal: f64) -> f64 {
        let drift = (self.rate - 0.5 * self.volatility.powi(2)) * self.years;
        let spread = self.volatility * self.years.sqrt();
        let asset = self.spot * (drift + spread * normal).exp();
        (asset - self.strike).max(0.0) * (-self.rate * self.years).exp()
    }

    /// Returns the price by the formula of Black and Scholes.
    fn price(self) -> f64 {
        let spread = self.volatility * self.years.sqrt();
        let growth = (self.rate + 0.5 * self.volatility.powi(2)) * self.years;
        let d = ((self.spot / self.strike).ln() + growth) / spread;
        let discount = (-self.rate * self.years).exp();
        self.spot * below(d) - self.strike * discount * below(d - spread)
    }
}

/// Returns the share of the normal distribution below `x`, by the series of its integral.
fn below(x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while term.abs() > 1e-17 {
        term *= x * x / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    0.5 + sum * (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
}

/// The mean of some samples, and their distances from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Estimate {
    samples: f64,
    mean: f64,
    /// The sum of the squared distances from the mean.
    squares: f64,
}

impl Estimate {
    fn of(samples: impl Iterator<Item = f64>) -> Estimate {
        samples.fold(Estimate::default(), |all, sample| {
            let samples = all.samples + 1.0;
            let mean = all.mean + (sample - all.mean) / samples;
            Estimate {
                samples,
                mean,
                squares: all.squares + (sample - all.mean) * (sample - mean),
            }
        })
    }

    fn error(&self) -> f64 {
        (self.squares / (self.samples - 1.0) / self.samples).sqrt()
    }
}

/// Returns the random numbers of this sample, from its place in the sequence of the seed.
fn draws(sample: u64) -> Random {
    Random::at(SEED, DRAWS * sample)
}

#[remote]
fn pi(first: u64) -> Estimate {
    Estimate::of((first..first + SAMPLES_OF_A_TASK).map(|sample| {
        let mut random = draws(sample);
        let (x, y) = (random.uniform(), random.uniform());
        if x * x + y * y < 1.0 { 4.0 } else { 0.0 }
    }))
}

#[remote]
fn price(first: u64, option: CallOption) -> Estimate {
    Estimate::of(
        (first..first + SAMPLES_OF_A_TASK).map(|sample| option.value(draws(sample).normal())),
    )
}

/// Returns the estimate of both sets of samples together.
#[remote]
fn join(a: Estimate, b: Estimate) -> Estimate {
    let samples = a.samples + b.samples;
    let distance = b.mean - a.mean;
    Estimate {
        samples,
        mean: a.mean + distance * b.samples / samples,
        squares: a.squares + b.squares + distance.powi(2) * a.samples * b.samples / samples,
    }
}

/// Combines estimates in the tree of `tree_reduce`. The left side has as many parts as the largest
/// power of two that is below their number.
fn tree(parts: &[Estimate]) -> Estimate {
    match parts {
        [] => Estimate::default(),
        [part] => *part,
        parts => {
            let (left, right) = parts.split_at(parts.len().next_power_of_two() / 2);
            join(tree(left), tree(right))
        }
    }
}

fn estimates(rt: &Runtime) -> Result<[Estimate; 2]> {
    let firsts = || (0..SAMPLES).step_by(SAMPLES_OF_A_TASK as usize);
    let pi = rt.map_fn(pi::remote, firsts()).tree_reduce(join::remote);
    let prices = firsts().map(|first| price::remote(first, OPTION));
    let price = rt.map(prices).tree_reduce(join::remote);
    Ok([
        pi.get()?.context("there are samples")?,
        price.get()?.context("there are samples")?,
    ])
}

#[mobula::main]
fn main() -> Result<()> {
    // `MOBULA_ENGINE` names the engine. The default is worker processes.
    let rt = Runtime::start()?;
    let (found, time) = timed(|| estimates(&rt));
    let found = found?;
    drop(rt);
    println!("{SAMPLES} samples each, {:.0} ms", 1e3 * time.as_secs_f64());
    let known = [("pi", PI), ("call option", OPTION.price())];
    let rows = found.iter().zip(known).map(|(found, (name, known))| {
        [
            name.to_owned(),
            format!("{:.5} ± {:.5}", found.mean, found.error()),
            format!("{known:.5}"),
            format!("{:+.2}", (found.mean - known) / found.error()),
        ]
    });
    table::print(["", "estimate", "known", "in errors"], rows);
    for (found, (name, known)) in found.iter().zip(known) {
        let (distance, error) = ((found.mean - known).abs(), found.error());
        ensure!(error < 0.01, "{name}: an error of {error}");
        ensure!(
            distance < 4.0 * error,
            "{name}: {} and not {known}",
            found.mean
        );
    }

    let firsts = || (0..SAMPLES).step_by(SAMPLES_OF_A_TASK as usize);
    let alone = [
        tree(&firsts().map(pi).collect::<Vec<_>>()),
        tree(
            &firsts()
                .map(|first| price(first, OPTION))
                .collect::<Vec<_>>(),
        ),
    ];
    ensure!(found == alone, "other bits than those of one thread");
    // With `MOBULA_ENGINE`, all of these runtimes would have the same engine.
    if std::env::var_os("MOBULA_ENGINE").is_none() {
        for workers in [1, 3] {
            let rt = Runtime::builder().workers(workers).start()?;
            ensure!(
                estimates(&rt)? == found,
                "other bits with {workers} workers"
            );
        }
        let rt = Runtime::builder().engine(EngineKind::inline()).start()?;
        ensure!(estimates(&rt)? == found, "other bits on the inline engine");
        println!("the same bits by one thread, 1 and 3 workers, and inline");
    } else {
        println!("the same bits by one thread");
    }
    Ok(())
}
