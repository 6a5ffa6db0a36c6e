use mobula::prelude::*;

#[remote]
extern "C" fn f() {}

fn main() {}
