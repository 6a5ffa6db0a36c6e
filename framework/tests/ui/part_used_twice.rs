use mobula::prelude::*;

#[remote]
fn fill(part: &mut [f64], value: f64) {
    part.fill(value);
}

fn main() -> mobula::Result<()> {
    let rt = Runtime::start()?;
    let array = rt.shared_array::<f64>(10, 0.0)?;
    let part = array.part_mut(0..10)?;
    fill::remote(part, 1.0).spawn().detach();
    fill::remote(part, 2.0).spawn().detach();
    Ok(())
}
