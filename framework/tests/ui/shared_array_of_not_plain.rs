use mobula::prelude::*;

#[derive(Clone, Copy)]
struct Padded {
    _small: u8,
    _large: u64,
}

fn main() -> mobula::Result<()> {
    let rt = Runtime::start()?;
    let _flags = rt.shared_array(10, false)?;
    let _names = rt.shared_array(10, "name")?;
    let padded = Padded {
        _small: 1,
        _large: 2,
    };
    let _padded = rt.shared_mutex(padded)?;
    Ok(())
}
