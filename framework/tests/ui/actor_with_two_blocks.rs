use mobula::prelude::*;

struct Model;

#[remote]
impl Model {
    fn new() -> Self {
        Model
    }
}

#[remote]
impl Model {
    fn fit(&self) {}
}

fn main() {}
