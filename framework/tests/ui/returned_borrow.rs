use mobula::prelude::*;

#[remote]
fn f(x: &[f64]) -> &[f64] {
    x
}

fn main() {}
