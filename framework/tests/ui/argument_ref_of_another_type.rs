use mobula::prelude::*;

#[remote]
fn score(array: &[f64], param: u64) -> f64 {
    array[0] * param as f64
}

#[remote]
fn add(a: f64, b: f64) -> f64 {
    a + b
}

fn main() -> mobula::Result<()> {
    let rt = Runtime::start()?;
    let whole = rt.put(&vec![1_u64, 2])?;
    score::remote(&whole, 7).spawn().detach();
    Ok(())
}
