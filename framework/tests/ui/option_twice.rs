use mobula::prelude::*;

#[remote(retries = 3, retries = 4)]
fn f() {}

fn main() {}
