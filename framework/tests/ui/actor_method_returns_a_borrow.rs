use mobula::prelude::*;

struct Model(String);

#[remote]
impl Model {
    fn new() -> Self {
        Model(String::new())
    }

    fn name(&self) -> &str {
        &self.0
    }
}

fn main() {}
