use mobula::prelude::*;

struct Model {
    weight: f64,
}

fn main() -> mobula::Result<()> {
    let rt = Runtime::start()?;
    rt.put(&Model { weight: 1.0 })?.wait()
}
