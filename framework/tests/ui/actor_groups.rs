use mobula::prelude::*;

struct Model;

#[remote(groups = [("oi", 2)])]
impl Model {
    fn new() -> Self {
        Model
    }

    #[remote(group = "io")]
    fn fit(&self) {}
}

struct Other;

#[remote(groups = ["io"])]
impl Other {
    fn new() -> Self {
        Other
    }

    #[remote(group = io)]
    fn fit(&self) {}
}

fn main() {}
