use mobula::prelude::*;

#[remote]
fn sort(x: &mut Vec<f64>) {
    x.clear();
}

fn main() {}
