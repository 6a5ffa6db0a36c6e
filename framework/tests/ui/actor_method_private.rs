use mobula::prelude::*;

mod inner {
    use mobula::prelude::*;

    pub struct Counter(u64);

    #[remote]
    impl Counter {
        pub fn new(n: u64) -> Self {
            Counter(n)
        }

        fn add(&mut self, n: u64) -> u64 {
            self.0 += n;
            self.0
        }
    }
}

fn main() {
    let counter: ActorRef<inner::Counter> = inner::Counter::remote(5).spawn();
    counter.add(1).spawn().detach();
}
