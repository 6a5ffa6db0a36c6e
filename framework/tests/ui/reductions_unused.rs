#![deny(unused_must_use)]

use mobula::prelude::*;

#[remote]
fn square(x: u64) -> u64 {
    x * x
}

#[remote]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

fn main() -> mobula::Result<()> {
    let rt = Runtime::start()?;
    rt.map_fn(square::remote, 0..9).reduce(u64::max);
    rt.map_fn(square::remote, 0..9).tree_reduce(add::remote);
    rt.put(&vec![1_u64, 2, 3])?.chunks(2)?;
    Ok(())
}
