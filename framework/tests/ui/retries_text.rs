use mobula::prelude::*;

#[remote(retries = "x")]
fn f() {}

fn main() {}
