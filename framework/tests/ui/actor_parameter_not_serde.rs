use mobula::prelude::*;

struct Plan;

struct Model;

#[remote]
impl Model {
    fn new() -> Self {
        Model
    }

    fn fit(&self, plan: Plan) -> u32 {
        1
    }
}

fn main() {}
