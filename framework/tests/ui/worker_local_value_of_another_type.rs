#[mobula::worker_local]
static MODEL: u32 = "seven";

#[mobula::worker_local]
static OTHER: u32 = "seven".parse()?;

fn main() {}
