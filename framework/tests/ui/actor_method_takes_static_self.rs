use mobula::prelude::*;

struct Model;

#[remote]
impl Model {
    fn new() -> Self {
        Model
    }

    fn keep(&'static self) {}
}

fn main() {}
