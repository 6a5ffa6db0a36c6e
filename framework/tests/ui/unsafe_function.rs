use mobula::prelude::*;

#[remote]
unsafe fn f() {}

fn main() {}
