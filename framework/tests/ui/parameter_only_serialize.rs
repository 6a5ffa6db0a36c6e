use mobula::prelude::*;

#[derive(serde::Serialize)]
struct Model {
    weight: f64,
}

#[remote]
fn fit(model: Model) -> f64 {
    model.weight
}

fn main() {}
