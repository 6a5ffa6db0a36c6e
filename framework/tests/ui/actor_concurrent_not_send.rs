use std::rc::Rc;

use mobula::prelude::*;

struct Model {
    shared: Rc<u32>,
}

// Calls one at a time need no `Send`.
#[remote]
impl Model {
    fn new() -> Self {
        Model { shared: Rc::new(1) }
    }

    fn value(&self) -> u32 {
        *self.shared
    }
}

struct Parallel {
    shared: Rc<u32>,
}

#[remote(max_concurrency = 2)]
impl Parallel {
    fn new() -> Self {
        Parallel { shared: Rc::new(1) }
    }

    fn value(&self) -> u32 {
        *self.shared
    }
}

fn main() {}
