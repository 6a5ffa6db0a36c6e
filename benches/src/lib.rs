//! The common parts of Mobula's benchmarks: repetitions and their spread, floors that the hardware
//! sets, figures of processes, and tables.
//!
//! The programs are in `src/bin`. `README.md` says how to run them and how to read their tables.

#![deny(unsafe_code)]

pub mod busy;
pub mod floors;
pub mod handover;
pub mod machine;
pub mod neighbour;
pub mod particles;
pub mod plate;
pub mod processes;
mod promise;
pub mod sampling;
pub mod table;
