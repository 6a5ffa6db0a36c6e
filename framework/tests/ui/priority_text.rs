use mobula::prelude::*;

#[remote(priority = "high")]
fn f() {}

#[remote(priority = -3_000_000_000)]
fn g() {}

#[remote(priority = -3)]
fn fine() {}

fn main() {}
