use mobula::prelude::*;

#[remote]
const fn f() {}

fn main() {}
