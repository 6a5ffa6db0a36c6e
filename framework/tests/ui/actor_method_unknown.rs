use mobula::prelude::*;

struct Counter(u64);

#[remote]
impl Counter {
    fn new(n: u64) -> Self {
        Counter(n)
    }

    fn add(&mut self, n: u64) -> u64 {
        self.0 += n;
        self.0
    }
}

impl Counter {
    fn local(&self) {}
}

fn main() {
    let counter = Counter::remote(5).spawn();
    counter.ad(1).spawn().detach();
    counter.local();
}
