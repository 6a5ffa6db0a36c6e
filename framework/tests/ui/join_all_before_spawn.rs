use mobula::prelude::*;

#[remote]
fn score(array: &[f64], param: u64) -> f64 {
    array[0] * param as f64
}

#[remote]
fn add(a: f64, b: f64) -> f64 {
    a + b
}

#[mobula::main]
async fn main() {
    let calls = (0..3).map(|p| score::remote(&[1.0], p));
    let _ = futures::future::try_join_all(calls).await;
}
