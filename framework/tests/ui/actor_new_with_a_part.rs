use mobula::prelude::*;

struct Model;

#[remote]
impl Model {
    fn new(part: &mut [f64]) -> Self {
        Model
    }

    fn fill(&mut self, part: &mut [f64]) {
        part.fill(1.0);
    }
}

fn main() {}
