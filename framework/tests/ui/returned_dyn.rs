use mobula::prelude::*;

#[remote]
fn f() -> Box<dyn Fn()> {
    Box::new(|| ())
}

fn main() {}
