use mobula::prelude::*;

#[remote]
struct Model;

fn main() {}
