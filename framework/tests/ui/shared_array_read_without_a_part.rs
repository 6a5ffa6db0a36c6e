use mobula::prelude::*;

fn main() -> mobula::Result<()> {
    let rt = Runtime::start()?;
    let array = rt.shared_array::<f64>(10, 0.0)?;
    let _first = array[0];
    let _sum: f64 = array.iter().sum();
    Ok(())
}
