//! A search over hyper-parameters that stops when one result is good enough.
//!
//! Softmax regression learns to read handwritten digits with 36 settings of step size, number of
//! steps and decay. The data is put into the store once. The driver takes results as they come. If
//! a setting reads 94 % of the unknown images, the driver cancels the rest. Queued tasks never run.
//! Running tasks check for the cancellation after each step.
//!
//! `cargo run --release -p mobula-examples --example sweep`

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mobula::prelude::*;
use mobula_examples::{
    digits::{Digits, Image},
    softmax::{WEIGHTS, gradient_of, rightly_read},
    timed,
};
use serde::{Deserialize, Serialize};

/// The share of rightly read images that ends the search.
const TARGET: f64 = 0.94;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Setting {
    rate: f64,
    steps: usize,
    decay: f64,
}

/// Returns the settings. Weak settings come first, so that there is something to stop.
fn settings() -> Vec<Setting> {
    let mut settings = Vec::new();
    for rate in [0.002, 0.01, 0.1, 1.0] {
        for steps in [100, 200, 400] {
            settings.extend([0.1, 0.01, 0.0].map(|decay| Setting { rate, steps, decay }));
        }
    }
    settings
}

/// Returns the share of the odd images that is read rightly after learning from the even ones.
#[remote]
fn learn(images: &[Image], labels: &[u8], setting: Setting) -> mobula::Result<f64> {
    let half = |odd: usize| {
        let pairs = images.iter().zip(labels).skip(odd).step_by(2);
        pairs.map(|(image, label)| (*image, *label)).unzip()
    };
    let (known, answers): (Vec<Image>, Vec<u8>) = half(0);
    let mut weights = vec![0.0; WEIGHTS];
    for _ in 0..setting.steps {
        mobula::check_cancelled()?;
        let gradient = gradient_of(&known, &answers, &weights);
        for (weight, slope) in weights.iter_mut().zip(&gradient) {
            *weight -= setting.rate * (slope / known.len() as f64 + setting.decay * *weight);
        }
    }
    let (tests, answers): (Vec<Image>, Vec<u8>) = half(1);
    Ok(rightly_read(&tests, &answers, &weights))
}

/// Returns the first setting that is good enough, its result, and the number of settings before it.
fn search(rt: &Runtime, digits: &Digits) -> mobula::Result<Option<(Setting, f64, usize)>> {
    let images = rt.put(&digits.images[..])?;
    let labels = rt.put(&digits.labels)?;
    let settings = settings();
    let calls = settings.iter().map(|s| learn::remote(&images, &labels, *s));
    // Any return from this function drops `all`, which cancels the rest.
    let all = rt.spawn_all(calls).cancel_on_drop();
    let done = rt.as_completed(all.iter().cloned()).progress("settings");
    for (tried, result) in done.enumerate() {
        let accuracy = result.get()?;
        let place = all.iter().position(|call| *call == result);
        let setting = place.map(|place| settings[place]);
        if let Some(setting) = setting.filter(|_| accuracy >= TARGET) {
            return Ok(Some((setting, accuracy, tried)));
        }
    }
    Ok(None)
}

#[mobula::main]
fn main() -> Result<()> {
    let digits = Digits::load()?;
    let rt = Runtime::start()?;
    let (found, time) = timed(|| search(&rt, &digits));
    let (setting, accuracy, tried) = found?.context("no setting is good enough")?;
    let total = settings().len();
    println!(
        "{setting:?} reads {:.1} % after {tried} others, in {:.2} s; {} of {total} were stopped.",
        100.0 * accuracy,
        time.as_secs_f64(),
        total - tried - 1
    );
    // The function gives the same result in this process.
    let alone = learn(&digits.images, &digits.labels, setting)?;
    ensure!(alone == accuracy, "this process gets {alone}");
    ensure!(tried + 1 < total, "nothing was left to stop");
    // Running tasks check after each step, so the workers release the data within milliseconds.
    let patience = Instant::now() + Duration::from_secs(10);
    while rt.store().used_bytes() > 0 {
        ensure!(Instant::now() < patience, "the data is still in use");
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("This process reads as many, and nothing is left of the rest.");
    Ok(())
}
