use mobula::prelude::*;

struct Model;

#[remote]
fn f(x: &[Model]) -> usize {
    x.len()
}

fn main() {}
