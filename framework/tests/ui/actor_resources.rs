use mobula::prelude::*;

const NONE: f64 = 0.0;

struct Literal;

#[remote(num_cpus = 0, memory = 1.5, resources(gpu = -1))]
impl Literal {
    fn new() -> Self {
        Literal
    }
}

struct Constant;

#[remote(num_cpus = NONE)]
impl Constant {
    fn new() -> Self {
        Constant
    }
}

struct OfAMethod;

#[remote]
impl OfAMethod {
    fn new() -> Self {
        OfAMethod
    }

    #[remote(num_cpus = 1)]
    fn ask(&self) {}
}

fn main() {}
