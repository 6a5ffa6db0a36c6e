use mobula::prelude::*;

struct Model;

#[remote(max_restarts = "2", max_call_retries = -1, max_concurrency = 0, grace = 5)]
impl Model {
    fn new() -> Self {
        Model
    }
}

fn main() {}
