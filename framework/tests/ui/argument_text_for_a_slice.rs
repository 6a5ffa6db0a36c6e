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
    score::remote("abc", 7).spawn().detach();
}
