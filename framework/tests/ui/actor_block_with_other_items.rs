use mobula::prelude::*;

struct Model;

#[remote]
impl Model {
    const LIMIT: u32 = 1;

    fn new() -> Self {
        Model
    }
}

fn main() {}
