use mobula::prelude::*;

#[remote]
fn f(x: impl Fn(f64)) {
    x(0.0);
}

fn main() {}
