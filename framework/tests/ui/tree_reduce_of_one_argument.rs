use mobula::prelude::*;

#[remote]
fn square(x: u64) -> u64 {
    x * x
}

fn main() -> mobula::Result<()> {
    let rt = Runtime::start()?;
    rt.map_fn(square::remote, 0..9).tree_reduce(square::remote).get()?;
    Ok(())
}
