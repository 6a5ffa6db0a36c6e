use mobula::prelude::*;

#[remote(retries(3))]
fn f() {}

fn main() {}
