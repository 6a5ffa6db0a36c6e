#![deny(unused_must_use)]

use mobula::prelude::*;

struct Counter(u64);

#[remote]
impl Counter {
    fn new(n: u64) -> Self {
        Counter(n)
    }

    fn value(&self) -> u64 {
        self.0
    }
}

fn main() {
    Counter::remote(5);
    Counter::remote(5).spawn();
    let counter = Counter::remote(5).spawn();
    counter.value();
}
