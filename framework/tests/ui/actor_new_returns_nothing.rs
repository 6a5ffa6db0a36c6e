use mobula::prelude::*;

struct Model;

#[remote]
impl Model {
    fn new() {}
}

fn main() {}
