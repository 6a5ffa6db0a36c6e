use mobula::prelude::*;

#[remote]
fn fill(part: &mut [f64], value: f64) {
    part.fill(value);
}

fn main() {
    fill::remote(vec![1.0], 1.0).spawn().detach();
}
