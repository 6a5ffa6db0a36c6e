use mobula::prelude::*;

#[remote(crate = "mobula")]
fn f() {}

fn main() {}
