//! Rows of state that several processes change: parts of arrays, atomics, locks, and programs that
//! use them.

use std::{
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::{Duration, Instant},
};

use mobula::AtomicArray;

use super::{Out, WORKERS};
use crate::Result;

mod atomics;
mod heat;
mod locks;
mod particles;
mod parts;

pub(crate) fn measure(out: &Out) -> Result<()> {
    out.attempt("part_fill", || parts::fill(out));
    out.attempt("mutex", || locks::alone(out));
    out.attempt("mutex_handover", || locks::handed_over(out));
    out.attempt("atomic_one", || atomics::measure(out));
    for case in particles::CASES {
        out.attempt(case.row, || particles::measure(out, case));
    }
    out.attempt("heat_barrier", || heat::measure(out));
    Ok(())
}

/// Calls `work` with each worker's number, on threads of this process. Returns the results.
fn on_threads<R: Send>(work: impl Fn(usize) -> R + Sync) -> Result<Vec<R>> {
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..WORKERS)
            .map(|worker| scope.spawn(move || work(worker)))
            .collect();
        let results = threads.into_iter().map(|thread| {
            let result = thread.join();
            result.map_err(|_| "a thread panicked".into())
        });
        results.collect()
    })
}

/// Returns when the tasks of all workers have arrived. The function spins, since a waiting task
/// would let another task run on its worker. Two tasks on one worker would take turns afterwards,
/// too.
pub(crate) fn gather(arrived: &AtomicArray<AtomicU64>) {
    const PATIENCE: Duration = Duration::from_secs(30);
    arrived[0].fetch_add(1, SeqCst);
    let start = Instant::now();
    while arrived[0].load(SeqCst) < WORKERS as u64 {
        assert!(start.elapsed() < PATIENCE, "another task did not begin");
        std::thread::yield_now();
    }
}

/// Returns the result of `work` and the time that it took.
fn clocked<R, E>(
    work: impl FnOnce() -> std::result::Result<R, E>,
) -> std::result::Result<(R, Duration), E> {
    let start = Instant::now();
    work().map(|result| (result, start.elapsed()))
}
