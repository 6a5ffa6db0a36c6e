use mobula::prelude::*;

#[remote]
fn f(x: &'static str) -> usize {
    x.len()
}

fn main() {}
