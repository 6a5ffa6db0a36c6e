//! The common parts of the example programs: the data, random numbers, a model, tables, times, and
//! the memory of a process.
//!
//! The programs are the files beside `src`. Each begins with a description.

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

/// Runs `f`. Returns its result and its time.
pub fn timed<R>(f: impl FnOnce() -> R) -> (R, Duration) {
    let start = Instant::now();
    let result = f();
    (result, start.elapsed())
}
