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
    let n: usize = 3;
    score::remote(&[1.0], n).spawn().detach();
}
