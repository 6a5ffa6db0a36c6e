use mobula::prelude::*;

struct Model;

#[remote]
impl Model {
    fn new() -> Self {
        Model
    }

    fn clone(&self) {}

    fn into(&self) {}

    fn remote(&self) {}
}

fn main() {}
