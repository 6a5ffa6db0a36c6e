use mobula::prelude::*;

#[remote]
fn f(x: &[&str]) -> usize {
    x.len()
}

fn main() {}
