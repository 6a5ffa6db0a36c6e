use mobula::prelude::*;

struct Model {
    weight: f64,
}

#[remote]
fn fit(k: u64) -> Result<Model, String> {
    Ok(Model { weight: k as f64 })
}

fn main() {}
