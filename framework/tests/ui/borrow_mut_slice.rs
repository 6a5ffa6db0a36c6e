use mobula::prelude::*;

#[remote]
fn fill(out: &mut [f64]) {
    out.fill(0.0);
}

fn main() {}
