use mobula::prelude::*;

#[remote(retries)]
fn f() {}

fn main() {}
