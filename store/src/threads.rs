//! Work on much memory, by several threads.
//!
//! One core does not use the full bandwidth of the memory. The kernel makes pages of a file present
//! for several threads at once.

use std::{
    sync::OnceLock,
    thread::{self, Builder},
};

use parking_lot::Mutex;

/// The largest number of threads. They saturate the memory of most machines, and leave cores to
/// others.
const MOST: usize = 4;

/// Returns the number of threads for work on much memory, with the caller's.
pub(crate) fn most() -> usize {
    // The cores that this process may use. The question takes longer than a copy of some pages.
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, |cores| cores.get().min(MOST)))
}

/// Calls `each` with every piece of the work, in this thread and up to `threads - 1` others. All of
/// them have ended when this returns. If the system refuses threads, fewer do the work.
///
/// # Errors
/// Fails with an error of `each`. No new piece is begun after the first one.
pub(crate) fn share<T: Send, E: Send>(
    work: impl Iterator<Item = T> + Send,
    threads: usize,
    each: impl Fn(T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    struct Left<W, E> {
        work: W,
        failed: Option<E>,
    }
    let left = Mutex::new(Left { work, failed: None });
    let next = || {
        let mut left = left.lock();
        if left.failed.is_some() {
            None
        } else {
            left.work.next()
        }
    };
    let run = || {
        while let Some(piece) = next() {
            if let Err(error) = each(piece) {
                left.lock().failed.get_or_insert(error);
            }
        }
    };
    if threads <= 1 {
        run();
    } else {
        thread::scope(|scope| {
            for _ in 1..threads {
                let builder = Builder::new().name("mobula-copy".into());
                if builder.spawn_scoped(scope, run).is_err() {
                    break;
                }
            }
            run();
        });
    }
    left.into_inner().failed.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn every_piece_is_worked_on_once() {
        for threads in [0, 1, 2, 7] {
            let sum = AtomicUsize::new(0);
            let result = share(1..=1000_usize, threads, |piece| {
                sum.fetch_add(piece, Ordering::Relaxed);
                Ok::<_, ()>(())
            });
            assert_eq!((result, sum.into_inner()), (Ok(()), 500_500));
        }
    }

    #[test]
    fn the_first_error_ends_the_work() {
        for threads in [1, 3] {
            let begun = AtomicUsize::new(0);
            let result = share(0..1_000_000, threads, |piece| {
                begun.fetch_add(1, Ordering::Relaxed);
                if piece == 10 { Err(piece) } else { Ok(()) }
            });
            assert_eq!(result, Err(10));
            assert!(begun.into_inner() < 1_000_000);
        }
    }
}
