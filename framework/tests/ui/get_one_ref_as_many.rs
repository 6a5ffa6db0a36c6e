use mobula::prelude::*;

#[remote]
fn add(a: f64, b: f64) -> f64 {
    a + b
}

#[remote]
fn sum(values: Vec<f64>) -> f64 {
    values.iter().sum()
}

fn main() -> mobula::Result<()> {
    let rt = Runtime::start()?;
    let one = add::remote(1.0, 2.0).spawn();
    let value = rt.get(&one)?;
    println!("{value}");
    // One where many are taken, and many where one is taken.
    sum::remote(&one).spawn().detach();
    add::remote(&vec![one.clone(), one], 1.0).spawn().detach();
    Ok(())
}
