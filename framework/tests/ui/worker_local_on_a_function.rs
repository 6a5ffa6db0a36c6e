#[mobula::worker_local]
fn model() -> u32 {
    7
}

fn main() {}
