use mobula::prelude::*;

#[remote]
fn f(x: Box<dyn Fn()>) {
    x();
}

fn main() {}
