//! A pipeline of tasks over handwritten digits. Tasks load and clean the digits, describe them in
//! three ways, and classify each description with two models. Then the six models vote.
//!
//! The driver only declares the dependencies. It passes refs, most of them pending, and awaits only
//! the end. The data goes from task to task in shared memory, and not through the driver.
//!
//! ```text
//!                   +-> pixels   --+-> neighbours, centroids --+
//! load --> clean ---+-> profiles --+-> neighbours, centroids --+--> vote
//!                   +-> edges    --+-> neighbours, centroids --+
//! ```
//!
//! `cargo run --release -p mobula-examples --example pipeline`

use std::{collections::BTreeSet, time::Instant};

use anyhow::{Result, ensure};
use mobula::{Array, prelude::*};
use mobula_examples::{
    digits::{Image, csv, parse},
    table,
};
use serde::{Deserialize, Serialize};

/// Images and labels. An `Array` in a struct is read in place, like an `Array` that is an argument.
#[derive(Serialize, Deserialize)]
struct Data {
    images: Array<Image>,
    labels: Array<u8>,
}

impl Data {
    /// Returns the number of images to learn from. The others are tests.
    fn known(&self) -> usize {
        self.images.len() / 2
    }
}

/// The features of each image: `width` numbers.
#[derive(Serialize, Deserialize)]
struct Features {
    width: usize,
    values: Array<f32>,
}

impl Features {
    fn new<const N: usize>(data: &Data, describe: fn(&Image) -> [f32; N]) -> Features {
        let values = data.images.iter().flat_map(describe).collect();
        Features { width: N, values }
    }

    fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.width)
    }
}

#[remote]
fn load() -> Result<String> {
    csv()
}

/// Loads the images, and drops duplicates.
#[remote]
fn clean(text: &str) -> Result<Data> {
    let mut seen = BTreeSet::new();
    let mut rows = text.lines().map(parse).collect::<Result<Vec<_>>>()?;
    rows.retain(|(image, _)| seen.insert(*image));
    let images = rows.iter().map(|(image, _)| *image).collect();
    let labels = rows.iter().map(|(_, label)| *label).collect();
    Ok(Data { images, labels })
}

#[remote]
fn pixels(data: &Data) -> Features {
    Features::new(data, |image| image.map(f32::from))
}

/// Returns the ink in each row and in each column.
#[remote]
fn profiles(data: &Data) -> Features {
    Features::new(data, |image| {
        let mut ink = [0.0; 16];
        for (n, &pixel) in image.iter().enumerate() {
            ink[n / 8] += f32::from(pixel);
            ink[8 + n % 8] += f32::from(pixel);
        }
        ink
    })
}

/// Returns the differences between pixels and their right and lower neighbours.
#[remote]
fn edges(data: &Data) -> Features {
    Features::new(data, |image| -> [f32; 112] {
        let difference = |a: usize, b: usize| f32::from(image[a]) - f32::from(image[b]);
        // Each of the eight rows has seven pairs. Then each of the seven upper rows has eight
        // pairs.
        std::array::from_fn(|n| match n {
            0..56 => difference(n / 7 * 8 + n % 7, n / 7 * 8 + n % 7 + 1),
            _ => difference(n - 56, n - 56 + 8),
        })
    })
}

/// Returns for each test the digit of the nearest image.
#[remote]
fn neighbours(features: &Features, data: &Data) -> Vec<u8> {
    let known = data.known();
    let digit = |row| data.labels[nearest(features.rows().take(known), row)];
    features.rows().skip(known).map(digit).collect()
}

/// Returns for each test the digit with the nearest mean.
#[remote]
fn centroids(features: &Features, data: &Data) -> Vec<u8> {
    let known = data.known();
    let mean = |digit: u8| -> Vec<f32> {
        let labelled = features.rows().zip(&data.labels[..known]);
        let rows: Vec<_> = labelled.filter(|(_, label)| **label == digit).collect();
        let value = |n| rows.iter().map(|(row, _)| row[n]).sum::<f32>() / rows.len() as f32;
        (0..features.width).map(value).collect()
    };
    let means: Vec<Vec<f32>> = (0..10).map(mean).collect();
    let digit = |row| nearest(means.iter().map(Vec::as_slice), row) as u8;
    features.rows().skip(known).map(digit).collect()
}

/// Returns the index of the nearest candidate.
fn nearest<'a>(candidates: impl Iterator<Item = &'a [f32]>, row: &[f32]) -> usize {
    let square = |(a, b): (&f32, &f32)| (a - b) * (a - b);
    let distances = candidates.map(|other| other.iter().zip(row).map(square).sum::<f32>());
    let nearest = distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
    nearest.map_or(0, |(n, _)| n)
}

/// Returns the share of right answers of each model, and last of the vote. Among equal votes, the
/// model that comes first decides.
#[remote]
fn vote(mut answers: Vec<Vec<u8>>, data: &Data) -> Vec<f64> {
    let truth = &data.labels[data.known()..];
    let together = (0..truth.len()).map(|test| {
        let given: Vec<u8> = answers.iter().map(|model| model[test]).collect();
        let votes = |digit: &&u8| given.iter().filter(|other| other == digit).count();
        given.iter().rev().max_by_key(votes).copied().unwrap_or(0)
    });
    answers.push(together.collect());
    let right = |model: &Vec<u8>| model.iter().zip(truth).filter(|(a, b)| a == b).count();
    let share = |model| right(model) as f64 / truth.len() as f64;
    answers.iter().map(share).collect()
}

#[mobula::main]
async fn main() -> Result<()> {
    let rt = Runtime::start()?;
    let start = Instant::now();

    let text = load::remote().spawn();
    let data = clean::remote(text).spawn();
    let features = rt.spawn_all([
        pixels::remote(&data),
        profiles::remote(&data),
        edges::remote(&data),
    ]);
    let mut answers = rt.spawn_all(features.iter().map(|f| neighbours::remote(f, &data)));
    answers.extend(rt.spawn_all(features.iter().map(|f| centroids::remote(f, &data))));
    let shares = vote::remote(&answers, &data).spawn();

    println!("12 tasks were spawned within {:.2?}", start.elapsed());
    let shares = shares.await?;
    println!("the last one was done after {:.2?}\n", start.elapsed());

    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let row = |name: &str, shares: &[f64]| {
        let [pixels, profiles, edges] = [0, 1, 2].map(|n| percent(shares[n]));
        [name.to_owned(), pixels, profiles, edges]
    };
    let (images, means) = (
        row("nearest image", &shares),
        row("nearest mean", &shares[3..]),
    );
    table::print(
        ["right answers", "pixels", "profiles", "edges"],
        [images, means],
    );
    println!("  all six together: {}\n", percent(shares[6]));

    ensure!(shares == locally()?, "tasks and plain functions differ");
    println!("The same functions, called one after the other in this process, agree.");
    ensure!(shares[6] > 0.95, "six models can do better than that");
    Ok(())
}

/// Runs the same steps as plain calls of the same functions.
fn locally() -> Result<Vec<f64>> {
    let data = clean(&load()?)?;
    let features = [pixels(&data), profiles(&data), edges(&data)];
    let mut answers: Vec<Vec<u8>> = features.iter().map(|f| neighbours(f, &data)).collect();
    answers.extend(features.iter().map(|f| centroids(f, &data)));
    Ok(vote(answers, &data))
}
