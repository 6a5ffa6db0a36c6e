use mobula::prelude::*;

#[remote]
fn one() -> Vec<f64> {
    vec![1.0]
}

#[remote]
fn two() -> (f64, String) {
    (1.0, String::new())
}

fn main() {
    let (_, _) = one::remote().spawn_split();
    let (a, b, c) = two::remote().spawn_split();
    let (a, b) = two::remote().spawn_split();
    let b: f64 = b.get().unwrap();
}
