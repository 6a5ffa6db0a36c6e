use mobula::prelude::*;

struct Model {
    weight: f64,
}

#[remote]
fn fit(model: &Model, k: u64) -> f64 {
    model.weight * k as f64
}

fn main() {}
