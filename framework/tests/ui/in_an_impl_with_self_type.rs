use mobula::prelude::*;

struct Model(f64);

impl Model {
    #[remote]
    fn new(x: f64) -> Self {
        Model(x)
    }

    #[remote]
    fn fit(x: f64) -> f64 {
        Self::new(x).0
    }
}

fn main() {}
