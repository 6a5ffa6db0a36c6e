//! Softmax regression on handwritten digits, with weights that all workers read and change.
//!
//! The images are put into the store once. Each worker computes gradients on a part of them. There
//! are two places for the weights: (a) the state of an actor, which gets gradients and returns
//! weights; (b) a shared array under a lock, which tasks read and change. Both learn in two ways:
//!
//! * In step: a step is the sum of the gradients of all parts. The actor adds in order, since the
//!   calls name their inputs. So the weights have the same bits as in a sequential program. In the
//!   shared array the sum follows the order of arrival, so the weights are equal within rounding.
//! * Freely: each worker reads the present weights and adds the gradient of the next hundred images
//!   of its part, while others do the same. No two runs are alike, but all learn equally well.
//!
//! `cargo run --release -p mobula-examples --example parameter_server`

use anyhow::{Result, ensure};
use mobula::{Array, SharedBarrier, SharedMutex, SharedRwLock, prelude::*};
use mobula_examples::{
    compare::{Times, faster},
    digits::{Digits, Image},
    softmax::{WEIGHTS, add, descend, gradient_of, rightly_read},
    table,
};

/// The number of images to learn from. The other images are tests.
const KNOWN: usize = 1500;
/// The number of steps over all known images.
const STEPS: usize = 300;
/// The number of times that each way is measured, in turn with the others. The times are medians.
const ROUNDS: usize = 5;
/// The images of a free step, and the number of free steps. Both ways of learning use equally many
/// images in all.
const BATCH: usize = 100;
const FREE_STEPS: usize = STEPS * KNOWN / BATCH;

/// The places of the weights.
const ACTOR: &str = "  weights in an actor";
const SHARED: &str = "  weights in a shared array";

/// A part of the images or of the free steps. Parts differ in length by at most one.
#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
struct Part {
    number: usize,
    parts: usize,
}

impl Part {
    fn all(parts: usize) -> impl Iterator<Item = Part> {
        (0..parts).map(move |number| Part { number, parts })
    }

    fn of<T>(self, items: &[T]) -> &[T] {
        let end = |number| number * items.len() / self.parts;
        &items[end(self.number)..end(self.number + 1)]
    }

    /// Returns the part's share of all free steps.
    fn free_steps(self) -> usize {
        let end = |number| number * FREE_STEPS / self.parts;
        end(self.number + 1) - end(self.number)
    }
}

/// Returns the images of a free step, out of those of a part. After the last images, the steps
/// begin again near the first.
fn batch<T>(items: &[T], step: usize) -> &[T] {
    let size = BATCH.min(items.len());
    let first = step * size % (items.len() + 1 - size);
    &items[first..first + size]
}

// Code for (a): an actor with the weights, and tasks.

struct Server {
    weights: Vec<f64>,
}

#[remote]
impl Server {
    fn new() -> Self {
        Server {
            weights: vec![0.0; WEIGHTS],
        }
    }

    fn weights(&self) -> Array<f64> {
        self.weights.iter().copied().collect()
    }

    /// Takes a step along the sum of gradients, added in this order. Returns the new weights.
    fn step(&mut self, gradients: Vec<Array<f64>>, images: usize) -> Array<f64> {
        let mut sum = vec![0.0; WEIGHTS];
        gradients
            .iter()
            .for_each(|gradient| add(&mut sum, gradient));
        descend(&mut self.weights, &sum, images);
        self.weights()
    }
}

#[remote]
fn gradient(images: &[Image], labels: &[u8], weights: &[f64], part: Part) -> Array<f64> {
    let gradient = gradient_of(part.of(images), part.of(labels), weights);
    gradient.into_iter().collect()
}

/// Learns freely from one part.
#[remote]
fn learn_from_server(
    server: ActorRef<Server>,
    images: &[Image],
    labels: &[u8],
    part: Part,
) -> mobula::Result<()> {
    let (images, labels) = (part.of(images), part.of(labels));
    let mut weights = server.weights().spawn().get()?;
    for step in 0..part.free_steps() {
        let images = batch(images, step);
        let gradient = gradient_of(images, batch(labels, step), &weights);
        let gradients = vec![gradient.into_iter().collect()];
        weights = server.step(gradients, images.len()).spawn().get()?;
    }
    Ok(())
}

// Code for (b): tasks that share an array.

/// Learns from one part, in step with the tasks of the other parts.
#[remote]
fn learn_in_step(
    weights: &SharedRwLock<[f64]>,
    sum: &SharedMutex<[f64]>,
    all_here: &SharedBarrier,
    images: &[Image],
    labels: &[u8],
    part: Part,
) -> mobula::Result<()> {
    for _ in 0..STEPS {
        let gradient = gradient_of(part.of(images), part.of(labels), &weights.read()?);
        add(&mut sum.lock()?, &gradient);
        // One of the tasks takes the step, and the others wait for it.
        if all_here.wait()? {
            let mut sum = sum.lock()?;
            descend(&mut weights.write()?, &sum, images.len());
            sum.fill(0.0);
        }
        all_here.wait()?;
    }
    Ok(())
}

/// Learns freely from one part.
#[remote]
fn learn_in_place(
    weights: &SharedRwLock<[f64]>,
    images: &[Image],
    labels: &[u8],
    part: Part,
) -> mobula::Result<()> {
    let (images, labels) = (part.of(images), part.of(labels));
    for step in 0..part.free_steps() {
        // This copy lets others write during the computation.
        let now = weights.read()?.to_vec();
        let images = batch(images, step);
        let gradient = gradient_of(images, batch(labels, step), &now);
        descend(&mut weights.write()?, &gradient, images.len());
    }
    Ok(())
}

/// The data in the store, and the number of parts.
struct Training {
    rt: Runtime,
    images: ObjectRef<Vec<Image>>,
    labels: ObjectRef<Vec<u8>>,
    parts: usize,
}

impl Training {
    fn in_step_with_an_actor(&self) -> mobula::Result<Vec<f64>> {
        let server = self.rt.spawn_actor(Server::remote());
        let mut weights = server.weights().spawn();
        for _ in 0..STEPS {
            let gradients = Part::all(self.parts)
                .map(|part| gradient::remote(&self.images, &self.labels, &weights, part));
            let gradients = self.rt.spawn_all(gradients);
            weights = server.step(&gradients, KNOWN).spawn();
        }
        // The driver has not waited so far: it has only spawned calls.
        Ok(weights.get()?.to_vec())
    }

    fn freely_with_an_actor(&self) -> mobula::Result<Vec<f64>> {
        let server = self.rt.spawn_actor(Server::remote());
        let learners = Part::all(self.parts)
            .map(|part| learn_from_server::remote(&server, &self.images, &self.labels, part));
        self.rt.get(self.rt.spawn_all(learners))?;
        Ok(server.weights().spawn().get()?.to_vec())
    }

    fn in_step_in_a_shared_array(&self) -> mobula::Result<Vec<f64>> {
        let weights = self.rt.shared_rwlock_slice(&[0.0; WEIGHTS])?;
        let sum = self.rt.shared_mutex_slice(&[0.0; WEIGHTS])?;
        let all_here = self.rt.shared_barrier(self.parts)?;
        let learners = Part::all(self.parts).map(|part| {
            learn_in_step::remote(&weights, &sum, &all_here, &self.images, &self.labels, part)
        });
        self.rt.get(self.rt.spawn_all(learners))?;
        let weights = weights.read()?;
        Ok(weights.to_vec())
    }

    fn freely_in_a_shared_array(&self) -> mobula::Result<Vec<f64>> {
        let weights = self.rt.shared_rwlock_slice(&[0.0; WEIGHTS])?;
        let learners = Part::all(self.parts)
            .map(|part| learn_in_place::remote(&weights, &self.images, &self.labels, part));
        self.rt.get(self.rt.spawn_all(learners))?;
        let weights = weights.read()?;
        Ok(weights.to_vec())
    }
}

/// Learns in step over all known images, in this process. The sum has the same parts.
fn in_step_alone(digits: &Digits, parts: usize) -> Vec<f64> {
    let mut weights = vec![0.0; WEIGHTS];
    let (images, labels) = (&digits.images[..KNOWN], &digits.labels[..KNOWN]);
    for _ in 0..STEPS {
        let mut sum = vec![0.0; WEIGHTS];
        for part in Part::all(parts) {
            add(
                &mut sum,
                &gradient_of(part.of(images), part.of(labels), &weights),
            );
        }
        descend(&mut weights, &sum, KNOWN);
    }
    weights
}

/// Learns in steps over a hundred images each, in this process.
fn freely_alone(digits: &Digits) -> Vec<f64> {
    let mut weights = vec![0.0; WEIGHTS];
    let (images, labels) = (&digits.images[..KNOWN], &digits.labels[..KNOWN]);
    for step in 0..FREE_STEPS {
        let images = batch(images, step);
        let gradient = gradient_of(images, batch(labels, step), &weights);
        descend(&mut weights, &gradient, images.len());
    }
    weights
}

/// A way to learn, and its results.
struct Way<'a> {
    name: &'static str,
    steps: usize,
    learn: Box<dyn Fn() -> mobula::Result<Vec<f64>> + 'a>,
    times: Times,
    weights: Vec<f64>,
}

impl<'a> Way<'a> {
    fn new(
        name: &'static str,
        steps: usize,
        learn: impl Fn() -> mobula::Result<Vec<f64>> + 'a,
    ) -> Way<'a> {
        Way {
            name,
            steps,
            learn: Box::new(learn),
            times: Times::default(),
            weights: Vec::new(),
        }
    }
}

/// Checks that all ways have good weights. In step, the weights of the actor equal the sequential
/// ones bit by bit. Those of the shared array are equal within rounding.
fn check(digits: &Digits, ways: &[Way<'_>]) -> Result<()> {
    let alone = &ways[0].weights;
    let bits = |weights: &[f64]| weights.iter().map(|w| w.to_bits()).collect::<Vec<_>>();
    for way in ways {
        let weights = &way.weights;
        if way.steps == STEPS && way.name == ACTOR {
            ensure!(
                bits(weights) == bits(alone),
                "the actor and this process differ"
            );
        }
        if way.steps == STEPS && way.name == SHARED {
            let differences = alone.iter().zip(weights).map(|(a, b)| (a - b).abs());
            let difference = differences.fold(0.0, f64::max);
            ensure!(difference < 1e-9, "the shared array is off by {difference}");
        }
        let share = accuracy(digits, weights);
        ensure!(share > 0.92, "only {share} of the answers are right");
    }
    Ok(())
}

fn accuracy(digits: &Digits, weights: &[f64]) -> f64 {
    rightly_read(&digits.images[KNOWN..], &digits.labels[KNOWN..], weights)
}

#[mobula::main]
fn main() -> Result<()> {
    let digits = Digits::load()?;
    let rt = Runtime::start()?;
    let training = Training {
        images: rt.put(&digits.images[..KNOWN])?,
        labels: rt.put(&digits.labels[..KNOWN])?,
        parts: rt.workers(),
        rt,
    };
    println!("{KNOWN} images are learnt, by {} workers", training.parts);

    let one = "in step, 1500 images: sequentially";
    let other = "freely, 100 images: sequentially";
    let mut ways = vec![
        Way::new(one, STEPS, || Ok(in_step_alone(&digits, training.parts))),
        Way::new(ACTOR, STEPS, || training.in_step_with_an_actor()),
        Way::new(SHARED, STEPS, || training.in_step_in_a_shared_array()),
        Way::new(other, FREE_STEPS, || Ok(freely_alone(&digits))),
        Way::new(ACTOR, FREE_STEPS, || training.freely_with_an_actor()),
        Way::new(SHARED, FREE_STEPS, || training.freely_in_a_shared_array()),
    ];
    // The inline engine has no shared arrays.
    if training.rt.shared_barrier(1).is_err() {
        ways.retain(|way| way.name != SHARED);
    }
    for _ in 0..ROUNDS {
        for way in &mut ways {
            way.weights = way.times.time(&way.learn)?;
        }
        check(&digits, &ways)?;
    }

    let median = |way: &Way<'_>| way.times.median();
    let first = |steps| ways.iter().find(|way| way.steps == steps).map(median);
    let rows = ways.iter().map(|way| {
        [
            way.name.to_owned(),
            format!("{:.0}", way.steps as f64 / median(way)),
            faster(first(way.steps).unwrap_or_default(), median(way)),
            format!("{:.2} %", 100.0 * accuracy(&digits, &way.weights)),
        ]
    });
    table::print(["", "steps/s", "ratio", "right answers"], rows);
    println!(
        "In step, the actor has all bits of this process, a shared array is the same within rounding."
    );
    Ok(())
}
