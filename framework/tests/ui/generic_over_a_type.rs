use mobula::prelude::*;

#[remote]
fn first<T>(x: T) -> T {
    x
}

fn main() {}
