use mobula::prelude::*;

struct Model;

#[remote(retries = 2)]
impl Model {
    fn new() -> Self {
        Model
    }
}

fn main() {}
