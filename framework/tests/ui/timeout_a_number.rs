use mobula::prelude::*;

#[remote(timeout = 5)]
fn f() {}

#[remote(retry_timeouts = true)]
fn g() {}

fn main() {}
