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

    fn zero() -> Self {
        Counter(0)
    }
}

#[remote]
fn add(counter: ActorRef<Counter>, n: u64) -> mobula::Result<u64> {
    counter.add(n).spawn().get()
}

fn main() {
    let counter = Counter::remote(5).name("counter").spawn();
    let sum: ObjectRef<u64> = counter.add(1).spawn();
    add::remote(&counter, 2).spawn().detach();
    Counter::zero().add(sum.get().unwrap());
}
