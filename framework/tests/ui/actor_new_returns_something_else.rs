use mobula::prelude::*;

struct Model;
struct Other;

#[remote]
impl Model {
    fn new() -> Option<Self> {
        Some(Model)
    }
}

#[remote]
impl Other {
    fn new() -> Result<Model, String> {
        Ok(Model)
    }
}

fn main() {}
