use mobula::prelude::*;

#[remote(retries = 4_294_967_296)]
fn f() {}

fn main() {}
