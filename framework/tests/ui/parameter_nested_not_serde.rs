use mobula::prelude::*;

use std::collections::HashMap;

struct Model;

#[remote]
fn f(x: HashMap<String, Model>) -> usize {
    x.len()
}

fn main() {}
