use mobula::prelude::*;

struct Model;

#[remote]
impl Clone for Model {
    fn clone(&self) -> Model {
        Model
    }
}

fn main() {}
