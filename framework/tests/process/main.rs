//! Behaviour that takes real worker processes. Each file is one group of behaviours; tests are
//! named after what they show.

mod support;

mod actors;
mod backpressure;
mod borrowed;
mod calls;
mod cancel;
mod context;
mod deaths;
mod descriptors;
mod detached;
mod errors;
mod exclusive;
mod forks;
mod futures;
mod left_behind;
mod limits;
mod locals;
mod locks;
mod maps;
mod nested;
mod null;
mod output;
mod packing;
mod panics;
mod priority;
mod programs;
#[cfg(feature = "progress")]
mod progress;
mod protection;
mod queues;
mod recycle;
mod reducing;
mod refs;
mod reports;
mod resources;
mod retries;
mod set_up;
mod shared;
mod sizes;
mod soak;
mod splitting;
mod standard_descriptors;
mod starting;
mod streams;
mod surroundings;
mod terminal;
mod threads;
#[cfg(feature = "ndarray-0_16")]
mod tiles_0_16;
#[cfg(feature = "ndarray-0_17")]
mod tiles_0_17;
mod titles;
mod turns;
mod unread;
mod waiting_futures;
