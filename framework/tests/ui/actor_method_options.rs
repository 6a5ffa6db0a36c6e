use mobula::prelude::*;

struct Model;

#[remote]
impl Model {
    #[remote(max_restarts = 1)]
    fn new() -> Self {
        Model
    }

    #[remote(max_restarts = 1)]
    fn fit(&self) {}

    #[remote(retries = 1)]
    #[remote(group = "io")]
    fn save(&self) {}

    #[remote(retries = "1")]
    fn load(&self) {}
}

fn main() {}
