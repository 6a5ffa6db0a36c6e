use mobula::prelude::*;

#[remote]
fn square(x: u64) -> u64 {
    x * x
}

#[remote]
fn add(a: f64, b: f64) -> f64 {
    a + b
}

#[remote]
fn average(a: u64, b: u64) -> f64 {
    (a + b) as f64 / 2.0
}

fn main() -> mobula::Result<()> {
    let rt = Runtime::start()?;
    rt.map_fn(square::remote, 0..9).tree_reduce(add::remote).get()?;
    rt.map_fn(square::remote, 0..9).tree_reduce(average::remote).get()?;
    Ok(())
}
