use mobula::prelude::*;

struct Model;

impl Model {
    #[remote]
    fn fit(x: &[f64]) -> f64 {
        x[0]
    }
}

fn main() {}
