use mobula::prelude::*;

struct Model(u32);

#[remote]
impl Model {
    fn new() -> Self {
        Model(0)
    }

    fn zero() -> Self {
        Model(0)
    }
}

fn main() {}
