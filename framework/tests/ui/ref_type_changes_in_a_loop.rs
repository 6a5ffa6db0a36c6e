use mobula::prelude::*;

use mobula::Array;

#[remote]
fn step(state: &[f64]) -> Array<f64> {
    state.iter().copied().collect()
}

fn main() -> mobula::Result<()> {
    let rt = Runtime::start()?;
    let mut state = rt.put(&vec![1.0])?;
    for _ in 0..3 {
        state = step::remote(&state).spawn();
    }
    Ok(())
}
