use mobula::prelude::*;

use mobula::Array;

#[remote]
fn f(x: Array<String>) -> usize {
    x.len()
}

fn main() {}
