use mobula::prelude::*;

fn main() -> mobula::Result<()> {
    let rt = Runtime::start()?;
    let samples = vec![1.0];
    let samples = rt.put(samples)?;
    samples.wait()
}
