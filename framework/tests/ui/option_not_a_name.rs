use mobula::prelude::*;

#[remote(3)]
fn f() {}

fn main() {}
