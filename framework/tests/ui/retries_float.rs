use mobula::prelude::*;

#[remote(retries = 1.5)]
fn f() {}

fn main() {}
