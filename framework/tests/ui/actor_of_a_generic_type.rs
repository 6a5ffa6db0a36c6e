use mobula::prelude::*;

struct Model<T>(T);

#[remote]
impl Model<f64> {
    fn new(value: f64) -> Self {
        Model(value)
    }
}

fn main() {}
