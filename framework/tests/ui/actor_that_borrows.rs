use mobula::prelude::*;

struct Model<'a>(&'a str);

#[remote]
impl Model<'_> {
    fn new() -> Self {
        Model("")
    }
}

fn main() {}
