#[mobula::test(workers = 2)]
async fn works() {}

fn main() {}
