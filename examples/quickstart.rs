//! The first program: it puts a million ones into the store once, and four tasks add them up.
//!
//! Each task gets the same array, and a weight of its own. The array is not sent to the workers:
//! they read it in place, in shared memory.
//!
//! `cargo run --release -p mobula-examples --example quickstart`

use mobula::prelude::*;

#[remote]
fn weighted_sum(numbers: &[f64], weight: f64) -> f64 {
    numbers.iter().map(|x| weight * x).sum()
}

#[remote]
fn largest(sums: Vec<f64>) -> f64 {
    sums.into_iter().fold(f64::NEG_INFINITY, f64::max)
}

#[mobula::main]
fn main() -> mobula::Result<()> {
    let rt = Runtime::start()?;
    let ones = rt.put(&vec![1.0; 1_000_000])?;

    // `spawn_all` returns refs at once. Workers make the sums meanwhile.
    let refs = rt.spawn_all((1..=4).map(|k| weighted_sum::remote(&ones, f64::from(k))));

    // Refs, pending or not, are arguments of further tasks. No wait is needed in between.
    let top = largest::remote(&refs).spawn();

    let (sums, top) = (rt.get(&refs)?, top.get()?);
    println!("sums of a million ones with weights 1 to 4: {sums:?}, the largest: {top}");
    assert_eq!(sums, [1e6, 2e6, 3e6, 4e6]);
    assert_eq!(top, 4e6);

    // A remote function is still a function.
    assert_eq!(weighted_sum(&[1.0, 2.0], 3.0), 9.0);
    Ok(())
}
