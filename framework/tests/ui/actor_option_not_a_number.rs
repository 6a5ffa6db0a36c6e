use mobula::prelude::*;

struct Model;

const LIMIT: u64 = 2;

#[remote(max_restarts = LIMIT)]
impl Model {
    fn new() -> Self {
        Model
    }
}

fn main() {}
