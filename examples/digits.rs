//! Which classifier reads handwritten digits best? The program cross-validates nearest neighbours
//! ten-fold, for two distances and eight numbers of neighbours. That makes 160 tasks over one data
//! set.
//!
//! The images are put into the store once. Each task reads all of them there, learns from nine
//! tenths and is tested on the rest. A loop in this process and a runtime with one worker do the
//! same work. All counts must be equal.
//!
//! `cargo run --release -p mobula-examples --example digits`

use std::time::Duration;

use anyhow::{Result, ensure};
use mobula::prelude::*;
use mobula_examples::{
    digits::{Digits, Image},
    table, timed,
};
use serde::{Deserialize, Serialize};

const FOLDS: usize = 10;
const NEIGHBOURS: [usize; 8] = [1, 2, 3, 4, 5, 7, 9, 15];

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Measure {
    /// The sum of squared differences. Its order is that of its root.
    Euclidean,
    /// The sum of absolute differences.
    Manhattan,
}

impl Measure {
    fn distance(self, a: &Image, b: &Image) -> u32 {
        let differences = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b)));
        match self {
            Measure::Euclidean => differences.map(|d| d * d).sum(),
            Measure::Manhattan => differences.sum(),
        }
    }
}

/// A task of the search.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Trial {
    measure: Measure,
    neighbours: usize,
    fold: usize,
}

/// Returns the number of images of the fold that the images of the other folds recognise.
#[remote]
fn recognised(images: &[Image], labels: &[u8], trial: Trial) -> usize {
    let (tests, known): (Vec<usize>, Vec<usize>) =
        (0..images.len()).partition(|n| n % FOLDS == trial.fold);
    let right = |test: &usize| {
        let mut nearest: Vec<(u32, usize)> = known
            .iter()
            .map(|&n| (trial.measure.distance(&images[*test], &images[n]), n))
            .collect();
        nearest.select_nth_unstable(trial.neighbours - 1);
        nearest.truncate(trial.neighbours);
        nearest.sort_unstable();
        vote(nearest.iter().map(|(_, n)| labels[*n])) == labels[*test]
    };
    tests.iter().filter(|test| right(test)).count()
}

/// Returns the label with the most votes. Among equals, the label that came first wins.
fn vote(labels: impl Iterator<Item = u8> + Clone) -> u8 {
    let votes = |label| labels.clone().filter(|other| *other == label).count();
    labels
        .clone()
        .reduce(|best, label| {
            if votes(label) > votes(best) {
                label
            } else {
                best
            }
        })
        .unwrap_or(0)
}

/// Returns all trials. The folds of a model follow each other.
fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for measure in [Measure::Euclidean, Measure::Manhattan] {
        for neighbours in NEIGHBOURS {
            trials.extend((0..FOLDS).map(|fold| Trial {
                measure,
                neighbours,
                fold,
            }));
        }
    }
    trials
}

/// Searches on workers. This is the whole code for it.
fn search(rt: &Runtime, digits: &Digits) -> mobula::Result<Vec<usize>> {
    let images = rt.put(&digits.images[..])?;
    let labels = rt.put(&digits.labels)?;
    let counts = rt.spawn_all(
        trials()
            .into_iter()
            .map(|trial| recognised::remote(&images, &labels, trial)),
    );
    rt.get(&counts)
}

#[mobula::main]
fn main() -> Result<()> {
    let digits = Digits::load()?;
    println!("{} images, {} trials", digits.images.len(), trials().len());

    let (expected, alone) = timed(|| -> Vec<usize> {
        trials()
            .into_iter()
            .map(|trial| recognised(&digits.images, &digits.labels, trial))
            .collect()
    });

    let one = Runtime::builder().workers(1).start()?;
    let (counts, by_one) = timed(|| search(&one, &digits));
    ensure!(
        counts? == expected,
        "one worker counts otherwise than this process"
    );
    let few = one.workers();
    one.shutdown();

    let rt = Runtime::start()?;
    let (counts, by_all) = timed(|| search(&rt, &digits));
    let counts = counts?;
    ensure!(
        counts == expected,
        "the workers count otherwise than this process"
    );

    let accuracies: Vec<f64> = counts
        .chunks(FOLDS)
        .map(|model| model.iter().sum::<usize>() as f64 / digits.images.len() as f64)
        .collect();
    report(&accuracies)?;
    let row = |who: String, time: Duration| {
        [
            who,
            format!("{:.3} s", time.as_secs_f64()),
            format!("{:.2}", by_one.as_secs_f64() / time.as_secs_f64()),
        ]
    };
    table::print(
        ["", "time", "speed-up"],
        [
            row("this process, sequentially".into(), alone),
            row(format!("workers: {few}"), by_one),
            row(format!("workers: {}", rt.workers()), by_all),
        ],
    );
    println!("All three count the same.");
    Ok(())
}

/// Prints the accuracy of each model, and the best models.
fn report(accuracies: &[f64]) -> Result<()> {
    let (euclidean, manhattan) = accuracies.split_at(NEIGHBOURS.len());
    let percent = |accuracy: f64| format!("{:.2} %", 100.0 * accuracy);
    let rows = NEIGHBOURS.iter().zip(euclidean.iter().zip(manhattan));
    table::print(
        ["neighbours", "Euclidean", "Manhattan"],
        rows.map(|(k, (e, m))| [k.to_string(), percent(*e), percent(*m)]),
    );
    let models = trials().into_iter().step_by(FOLDS).zip(accuracies);
    let best = models.max_by(|a, b| a.1.total_cmp(b.1).then(b.0.neighbours.cmp(&a.0.neighbours)));
    let Some((
        Trial {
            measure,
            neighbours,
            ..
        },
        &accuracy,
    )) = best
    else {
        return Ok(());
    };
    println!(
        "Best: {measure:?} distance, neighbours: {neighbours}, accuracy: {}\n",
        percent(accuracy)
    );
    ensure!(
        accuracy > 0.98,
        "nearest neighbours are known to be better than that"
    );
    Ok(())
}
