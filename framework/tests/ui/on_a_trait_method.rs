use mobula::prelude::*;

trait Fit {
    #[remote]
    fn fit(x: f64);
}

fn main() {}
