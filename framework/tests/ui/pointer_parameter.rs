use mobula::prelude::*;

#[remote]
fn f(x: *const f64, g: fn(f64)) {
    let _ = (x, g);
}

fn main() {}
