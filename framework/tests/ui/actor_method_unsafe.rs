use mobula::prelude::*;

struct Model;

#[remote]
impl Model {
    fn new() -> Self {
        Model
    }

    unsafe fn fit(&self) {}
}

fn main() {}
