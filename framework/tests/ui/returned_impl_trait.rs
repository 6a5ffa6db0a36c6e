use mobula::prelude::*;

#[remote]
fn f(n: u64) -> impl Fn(u64) -> u64 {
    move |m| n + m
}

#[remote]
fn g(n: u64) -> impl Iterator {
    0..n
}

#[remote]
fn h(n: u64) -> Box<dyn Iterator<Item = u64>> {
    Box::new(0..n)
}

fn main() {}
