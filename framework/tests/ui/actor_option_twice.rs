use mobula::prelude::*;

struct Model;

#[remote(max_restarts = 2, max_restarts = 3)]
impl Model {
    fn new() -> Self {
        Model
    }
}

fn main() {}
