use mobula::prelude::*;

const RETRIES: usize = 3;

#[remote(retries = RETRIES)]
fn f() {}

fn main() {}
