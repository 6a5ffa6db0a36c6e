use mobula::prelude::*;

struct NotSerde;

#[remote]
fn items() -> impl Iterator<Item = NotSerde> {
    std::iter::once(NotSerde)
}

#[remote(retry_errors)]
fn without_errors() -> impl Iterator<Item = u64> {
    0..3
}

#[remote(retry_timeouts, timeout = std::time::Duration::from_secs(1))]
fn with_limit() -> impl Iterator<Item = u64> {
    0..3
}

#[remote]
fn borrows(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
}

#[remote]
fn fine() -> impl Iterator<Item = u64> {
    0..3
}

fn main() {
    let rt = Runtime::start().unwrap();
    let one: u64 = fine::remote().spawn().get().unwrap();
    rt.spawn(fine::remote());
}
