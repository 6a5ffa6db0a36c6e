#[mobula::main]
async fn main(x: u8) {}
