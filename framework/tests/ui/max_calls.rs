use mobula::prelude::*;

#[remote(max_calls = 0)]
fn none() {}

const NONE: u32 = 0;

#[remote(max_calls = NONE)]
fn none_by_name() {}

struct Counter;

#[remote]
impl Counter {
    pub fn new() -> Self {
        Counter
    }

    #[remote(max_calls = 2)]
    pub fn add(&mut self) {}
}

fn main() {}
