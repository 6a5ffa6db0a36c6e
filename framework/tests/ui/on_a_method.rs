use mobula::prelude::*;

struct Model;

impl Model {
    #[remote]
    fn fit(&self, x: f64) -> f64 {
        x
    }
}

fn main() {}
