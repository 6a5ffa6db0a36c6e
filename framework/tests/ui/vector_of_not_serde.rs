use mobula::prelude::*;

struct Model;

#[remote]
fn f(x: Vec<Model>) -> usize {
    x.len()
}

fn main() {}
