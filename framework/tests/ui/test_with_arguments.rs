#[mobula::test]
fn works<T>(x: u8) {}

fn main() {}
