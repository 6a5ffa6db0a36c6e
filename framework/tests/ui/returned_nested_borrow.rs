use mobula::prelude::*;

#[remote]
fn f<'a>(x: &'a str) -> Option<&'a str> {
    Some(x)
}

fn main() {}
