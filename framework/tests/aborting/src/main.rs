//! A program whose tasks panic. Built with `panic = "abort"`, it prints what its driver learns of
//! that: here a panic unwinds nothing, so a worker has no other chance to tell than its panic hook.

use mobula::prelude::*;

#[remote]
fn panics(n: u32) -> u32 {
    assert!(n == 0, "the task says {n}");
    n
}

#[remote]
fn panics_on_a_thread_of_its_own(n: u32) {
    let thread = std::thread::spawn(move || assert!(n == 0, "the thread says {n}"));
    let _ = thread.join();
}

#[mobula::main]
fn main() -> mobula::Result<()> {
    let rt = Runtime::builder()
        .workers(1)
        .store_capacity(64 << 20)
        .start()?;
    let task = rt.spawn(panics::remote(7)).get().map(drop);
    let thread = rt.spawn(panics_on_a_thread_of_its_own::remote(8)).get();
    for result in [task, thread] {
        let error = result.expect_err("the worker is dead");
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        println!("crash: {}: {line}", error.is_crash());
    }
    println!("it goes on: {}", rt.spawn(panics::remote(0)).get()?);
    Ok(())
}
