use mobula::prelude::*;

struct Model;

#[remote]
impl Model {
    fn new(&self) -> Model {
        Model
    }
}

fn main() {}
