use mobula::prelude::*;

type Fallible<T> = Result<T, String>;

#[remote]
fn f() -> Fallible<f64> {
    Ok(1.0)
}

fn main() {}
