use mobula::prelude::*;

#[remote]
fn f64(x: String) -> usize {
    x.len()
}

#[remote]
fn bool(x: String) -> usize {
    x.len()
}

#[remote]
fn str(x: String) -> usize {
    x.len()
}

fn main() {}
