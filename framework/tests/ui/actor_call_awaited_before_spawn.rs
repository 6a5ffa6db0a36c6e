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

async fn value(counter: &ActorRef<Counter>) -> mobula::Result<u64> {
    counter.value().await
}

fn main() {
    Counter::remote(5).value();
}
