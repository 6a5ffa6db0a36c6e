//! What the example programs share: the data, random numbers, a model, tables, times, the memory of
//! a process.
//!
//! The programs are the files beside `src`; each begins with what it shows.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

pub mod compare;
mod data;
pub mod digits;
pub mod memory;
mod random;
pub mod softmax;
pub mod table;
pub mod text;

pub use random::Random;

/// Runs `f` and says how long it took.
pub fn timed<R>(f: impl FnOnce() -> R) -> (R, Duration) {
    let start = Instant::now();
    let result = f();
    (result, start.elapsed())
}
