use mobula::prelude::*;

struct Model;

#[remote]
impl Model {
    fn new() -> Self {
        Model
    }

    fn fit<T>(&self, value: T) -> T {
        value
    }
}

fn main() {}
