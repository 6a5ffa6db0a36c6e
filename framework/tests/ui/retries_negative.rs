use mobula::prelude::*;

#[remote(retries = -1)]
fn f() {}

fn main() {}
