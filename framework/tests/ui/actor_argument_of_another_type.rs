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

fn main() {
    let counter = Counter::remote("five").spawn();
    counter.add("two").spawn().detach();
}
