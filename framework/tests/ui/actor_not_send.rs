use std::rc::Rc;

use mobula::prelude::*;

struct Model {
    shared: Rc<u32>,
}

#[remote]
impl Model {
    fn new() -> Self {
        Model { shared: Rc::new(1) }
    }

    fn value(&self) -> u32 {
        *self.shared
    }
}

fn main() {}
