//! Models of mutual exclusion, and of wake-ups: a thread that is left asleep is a deadlock here.
//! Steps on the words themselves stand for the last steps of a dead process.

mod barrier;
mod condvar;
mod mutex;
mod once;
mod polled;
mod rwlock;
mod semaphore;
mod turns;

use std::{
    sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release},
    time::{Duration, Instant},
};

use loom::{model::Builder, sync::Arc, thread};

use super::{word::*, *};
use crate::{
    ids::WorkerId,
    primitive::{
        Futex, Memory, Word,
        model::{Model, ModelFutex},
    },
};

fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// The driver is process 0; threads 1.. are processes of the same number.
fn holder(process: u32) -> Holder {
    Holder::of(process, process as u16, 1)
}

/// A deadline that does not come. A wait with a deadline counts as long: see `Wait`.
fn far() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(1 << 30))
}

fn cause() -> Cause {
    let how = How::Signal(9);
    Cause { pid: 77, how }
}

/// Adds one to a word that only one thread may change at a time.
fn add_one(memory: &Model, at: usize) {
    let word = &memory.words()[at];
    word.store(word.load(Relaxed) + 1, Relaxed);
}
