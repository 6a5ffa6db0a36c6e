use std::cell::Cell;

use mobula::prelude::*;

struct Model {
    changes: Cell<u32>,
}

#[remote]
impl Model {
    fn new() -> Self {
        Model {
            changes: Cell::new(1),
        }
    }

    #[remote(group = "io")]
    fn value(&self) -> u32 {
        self.changes.get()
    }
}

fn main() {}
