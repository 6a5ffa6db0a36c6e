use mobula::prelude::*;

#[remote]
fn score(array: &[f64], param: u64) -> f64 {
    array[0] * param as f64
}

#[remote]
fn add(a: f64, b: f64) -> f64 {
    a + b
}

fn main() {
    score::remote(&[1.0], "7".parse().unwrap()).spawn().detach();
}
