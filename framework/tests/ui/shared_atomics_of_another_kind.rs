use mobula::prelude::*;
use std::sync::atomic::AtomicBool;

fn main() -> mobula::Result<()> {
    let rt = Runtime::start()?;
    let _flags = rt.atomic_array::<AtomicBool>(10)?;
    Ok(())
}
