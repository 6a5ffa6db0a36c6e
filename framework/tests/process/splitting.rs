//! Results that are split into objects, by tasks too, and across deaths.

use std::time::Duration;

use mobula::prelude::*;

use crate::support::{Marks, mark, nothing_is_left, runtime};

#[remote]
fn halves(block: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (low, high) = block.split_at(block.len() / 2);
    (low.to_vec(), high.to_vec())
}

#[remote]
fn sum(block: &[f64]) -> f64 {
    block.iter().sum()
}

/// Splits until the blocks are small, and adds their sums up.
#[remote]
fn sum_of_halves(block: ObjectRef<Vec<f64>>, len: usize) -> mobula::Result<f64> {
    if len < 5_000 {
        return sum::remote(&block).spawn().get();
    }
    let (low, high) = halves::remote(&block).spawn_split();
    let sums = [low, high].map(|half| {
        // A ref as an argument is the value; this function wants the ref.
        let half = Runtime::current()?.put(&half)?;
        Ok(sum_of_halves::remote(half, len / 2).spawn())
    });
    let [low, high] = sums;
    Ok(low.and_then(|sum: ObjectRef<f64>| sum.get())? + high.and_then(|sum| sum.get())?)
}

#[remote]
fn dies_first(path: &str) -> (u32, Vec<f64>) {
    if mark(path) == 1 {
        std::process::abort();
    }
    (1, vec![2.0; 10_000])
}

#[remote]
fn sleeps(path: &str) -> (u32, u32) {
    mark(path);
    loop {
        std::thread::sleep(Duration::from_millis(1));
        if mobula::is_cancelled() {
            return (0, 0);
        }
    }
}

#[mobula::test]
fn tasks_split_the_results_of_their_calls() {
    for workers in [1, 2] {
        let rt = runtime(workers);
        let block: Vec<f64> = (0..16_384).map(f64::from).collect();
        let block = rt.put(&rt.put(&block[..]).unwrap()).unwrap();
        let sum = rt
            .spawn(sum_of_halves::remote(&block, 16_384))
            .get()
            .unwrap();
        assert_eq!(sum, 16_383.0 * 8_192.0);
        drop(block);
        nothing_is_left(&rt);
    }
}

#[mobula::test]
fn a_further_run_makes_the_elements() {
    let (rt, marks) = (runtime(1), Marks::new());
    let (number, block) = dies_first::remote(marks.path()).retries(1).spawn_split();
    assert_eq!(sum::remote(&block).spawn().get().unwrap(), 20_000.0);
    assert_eq!(number.get().unwrap(), 1);
    drop((number, block));
    nothing_is_left(&rt);
    let marks = Marks::new();
    let (number, block) = dies_first::remote(marks.path()).spawn_split();
    assert!(number.get().unwrap_err().is_crash());
    assert!(block.get().unwrap_err().is_crash());
    drop((number, block));
    nothing_is_left(&rt);
}

#[mobula::test]
fn one_element_cancels_all() {
    let (rt, marks) = (runtime(1), Marks::new());
    let (one, two) = sleeps::remote(marks.path()).spawn_split();
    crate::support::eventually("it runs", || marks.count() == 1);
    two.cancel();
    assert!(one.get().unwrap_err().is_cancelled());
    assert!(two.get().unwrap_err().is_cancelled());
    drop((one, two));
    nothing_is_left(&rt);
}
