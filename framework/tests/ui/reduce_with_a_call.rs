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
    rt.map_fn(square::remote, 0..9).reduce(add::remote).get()?;
    Ok(())
}
