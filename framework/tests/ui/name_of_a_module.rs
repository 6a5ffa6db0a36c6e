use mobula::prelude::*;

mod tool {}

#[remote]
fn tool(x: f64) -> f64 {
    x
}

fn main() {}
