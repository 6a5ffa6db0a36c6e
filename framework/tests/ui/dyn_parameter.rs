use mobula::prelude::*;

#[remote]
fn f(x: &dyn std::fmt::Debug) {
    let _ = x;
}

fn main() {}
