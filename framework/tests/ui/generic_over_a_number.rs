use mobula::prelude::*;

#[remote]
fn sum<const N: usize>(x: [f64; N]) -> f64 {
    x.iter().sum()
}

fn main() {}
