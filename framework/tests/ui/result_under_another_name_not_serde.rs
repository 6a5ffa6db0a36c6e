use mobula::prelude::*;

#[derive(Debug)]
struct Failure;
type Fallible<T> = Result<T, Failure>;

#[remote]
fn f() -> Fallible<f64> {
    Err(Failure)
}

fn main() {}
