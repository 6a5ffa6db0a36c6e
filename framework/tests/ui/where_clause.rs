use mobula::prelude::*;

#[remote]
fn len(x: String) -> usize
where
    String: Clone,
{
    x.len()
}

fn main() {}
