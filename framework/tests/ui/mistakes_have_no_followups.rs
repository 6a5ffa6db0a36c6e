use mobula::prelude::*;

use std::time::Duration;

#[remote(retries = "x")]
async fn first(x: &[f64]) -> Result<f64, String> {
    Ok(x[0])
}

#[remote]
fn same<T>(x: T) -> T {
    x
}

#[remote]
fn bytes(x: &mut String) -> Vec<u8> {
    x.clone().into_bytes()
}

#[remote]
const fn double(x: u32) -> u32 {
    2 * x
}

#[remote]
fn sum((x, y): (u32, u32)) -> u32 {
    x + y
}

#[remote]
fn name(k: u32) -> &'static str {
    ["a", "b"][k as usize]
}

pub struct Counter(u32);

#[remote(max_restarts = -1)]
impl Counter {
    pub fn new(n: u32) -> Self {
        Counter(n)
    }

    pub fn get(&self) -> u32 {
        self.0
    }
}

pub struct Named(String);

#[remote]
impl Named {
    pub fn new(name: String) -> Self {
        Named(name)
    }

    pub fn get(&self) -> &str {
        &self.0
    }
}

const FOUR: u32 = double(2);

#[mobula::main]
async fn main() -> mobula::Result<()> {
    let rt = Runtime::start()?;
    let one: f64 = first::remote(&[1.0]).retries(2).spawn().await? + first(&[1.0]).await.unwrap();
    let two: u32 = same::remote(2_u32).spawn().get()?;
    let length = bytes::remote("a").spawn().get_timeout(Duration::from_secs(1))?.len();
    let all = rt.get(&rt.spawn_all((0..3).map(|k| double::remote(k))))?;
    let sums: Vec<u32> = rt.map((0..3).map(|k| sum::remote((k, k)))).await?;
    let letters = name::remote(1).spawn().await?.len();
    let counter = Counter::remote(3).max_restarts(3).spawn();
    let n: u32 = counter.get().spawn().await?;
    let text = Named::remote("a").spawn().get().spawn().get()?.to_uppercase();
    println!("{one} {two} {length} {all:?} {sums:?} {letters} {n} {text} {FOUR}");
    Ok(())
}
