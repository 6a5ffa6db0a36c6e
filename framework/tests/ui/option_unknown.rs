use mobula::prelude::*;

#[remote(retry = 3)]
fn f() {}

fn main() {}
