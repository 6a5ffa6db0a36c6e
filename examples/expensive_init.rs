//! Many short calls use a model that is expensive to load.
//!
//! The model reads handwritten digits: it compares an image with 899 others and returns the digit
//! of the nearest. A load unpacks a file, parses it and shuffles its lines. In the first way, each
//! call loads the model. In the second way, each worker loads it at its first call, since the model
//! is worker-local. Both ways give the same digits. The second way takes a fraction of the time.
//!
//! `cargo run --release -p mobula-examples --example expensive_init`

use anyhow::{Result, ensure};
use mobula::prelude::*;
use mobula_examples::{
    digits::{Digits, Image},
    timed,
};

/// The number of images in a call.
const IMAGES: usize = 4;

struct Model {
    images: Vec<Image>,
    labels: Vec<u8>,
    /// The number of calls that have used the model.
    calls: usize,
}

impl Model {
    /// Loads the model from every second image of the file.
    fn load() -> Result<Model> {
        let digits = Digits::load()?;
        let rows = digits.images.into_iter().zip(digits.labels);
        let (images, labels) = rows.step_by(2).unzip();
        Ok(Model {
            images,
            labels,
            calls: 0,
        })
    }

    fn read(&mut self, images: &[Image]) -> Vec<u8> {
        self.calls += 1;
        images.iter().map(|image| self.read_one(image)).collect()
    }

    fn read_one(&self, image: &Image) -> u8 {
        let known = self.images.iter().zip(&self.labels);
        let nearest = known.min_by_key(|(known, _)| distance(known, image));
        nearest.map_or(0, |(_, label)| *label)
    }
}

fn distance(a: &Image, b: &Image) -> u32 {
    let pairs = a.iter().zip(b);
    pairs.map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum()
}

/// Each worker has one model, from its first use to the worker's end.
#[mobula::worker_local]
static MODEL: Model = Model::load().expect("the digits are part of the examples");

/// Returns the digits, and the number of this call among the calls of its worker.
#[remote]
fn read_with_the_workers_model(images: Vec<Image>) -> (Vec<u8>, usize) {
    MODEL.with(|model| (model.read(&images), model.calls))
}

/// Returns the digits, and the number of this call among the calls of its model.
#[remote]
fn read_with_a_model_of_its_own(images: Vec<Image>) -> Result<(Vec<u8>, usize), String> {
    let mut model = Model::load().map_err(|error| format!("{error:#}"))?;
    Ok((model.read(&images), model.calls))
}

/// Returns all digits, and the number of loaded models. Each model has one first call.
fn digits_and_loads(answers: Vec<(Vec<u8>, usize)>) -> (Vec<u8>, usize) {
    let loads = answers.iter().filter(|(_, call)| *call == 1).count();
    let digits = answers.into_iter().flat_map(|(digits, _)| digits);
    (digits.collect(), loads)
}

#[mobula::main]
fn main() -> Result<()> {
    let digits = Digits::load()?;
    let odd = |n: usize| n % 2 == 1;
    let images: Vec<Image> = (0..digits.images.len())
        .filter(|n| odd(*n))
        .map(|n| digits.images[n])
        .collect();
    let rt = Runtime::start()?;
    let calls = || images.chunks(IMAGES).map(<[Image]>::to_vec);
    let count = calls().count();

    let (own, own_time) = timed(|| {
        rt.map_fn(read_with_a_model_of_its_own::remote, calls())
            .get()
    });
    let (own, own_loads) = digits_and_loads(own?);
    let (kept, kept_time) = timed(|| {
        rt.map_fn(read_with_the_workers_model::remote, calls())
            .get()
    });
    let (kept, kept_loads) = digits_and_loads(kept?);

    println!("{count} calls, {IMAGES} images each");
    for (way, loads, time) in [
        ("in each call", own_loads, own_time),
        ("once per worker", kept_loads, kept_time),
    ] {
        let millis = 1e3 * time.as_secs_f64();
        println!("loading {way:<16}{loads:>4} loads {millis:>7.1} ms");
    }
    ensure!(own_loads == count, "{own_loads} loads in {count} calls");
    ensure!((1..count).contains(&kept_loads), "{kept_loads} loads");
    ensure!(own == kept, "the two ways read other digits");
    // This process must read the same digits, most of them rightly.
    ensure!(
        kept == Model::load()?.read(&images),
        "this process reads other digits"
    );
    let truth = (0..digits.labels.len()).filter(|n| odd(*n));
    let right = truth
        .zip(&kept)
        .filter(|(n, digit)| digits.labels[*n] == **digit);
    let share = right.count() as f64 / images.len() as f64;
    println!("Both read {:.1} % of the images rightly.", 100.0 * share);
    ensure!(share > 0.97, "only {share} of the images are read rightly");
    Ok(())
}
