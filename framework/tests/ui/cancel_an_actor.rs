use mobula::prelude::*;

struct Counter(u64);

#[remote]
impl Counter {
    fn new() -> Counter {
        Counter(0)
    }

    fn add(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

fn main() {
    mobula::init();
    let rt = Runtime::start().unwrap();
    let counter = rt.spawn_actor(Counter::remote());
    counter.cancel();
}
