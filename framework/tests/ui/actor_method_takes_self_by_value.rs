use mobula::prelude::*;

struct Model;

#[remote]
impl Model {
    fn new() -> Self {
        Model
    }

    fn end(self) {}

    fn share(self: std::sync::Arc<Self>) {}
}

fn main() {}
