use mobula::prelude::*;

fn main() -> mobula::Result<()> {
    let rt = Runtime::start()?;
    let mutex = rt.shared_mutex(1_u64)?;
    let guard = mutex.lock()?;
    std::thread::scope(|scope| {
        scope.spawn(move || drop(guard));
    });
    Ok(())
}
