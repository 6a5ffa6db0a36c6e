use mobula::prelude::*;

#[remote]
fn fill(part: &mut [f64], value: f64) {
    part.fill(value);
}

fn main() -> mobula::Result<()> {
    let rt = Runtime::start()?;
    let array = rt.shared_array::<f32>(10, 0.0)?;
    fill::remote(array.part_mut(0..10)?, 1.0).spawn().detach();
    Ok(())
}
