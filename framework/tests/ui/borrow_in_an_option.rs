use mobula::prelude::*;

#[remote]
fn f(x: Option<&[f64]>) -> bool {
    x.is_some()
}

fn main() {}
