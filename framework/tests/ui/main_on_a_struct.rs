#[mobula::main]
struct Main;

fn main() {}
