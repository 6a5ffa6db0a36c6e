#[mobula::main]
fn start() {}

fn main() {}
