//! Work that takes no memory, for maps whose items take a known time.
//!
//! The time is CPU time: an item of 100 µs ends when its thread has had a core for 100 µs. So a
//! neighbour on the hardware that slows both cores down makes no item longer, and two measurements
//! stay comparable. The time without a core counts in the total, for example when a spinning thread
//! takes the core.

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use rustix::time::{ClockId, clock_gettime};

use crate::sampling::timed;

/// The turns of a loop between two looks at the clock: about 0.2 µs.
const TURNS: u64 = 200;

/// Computes until this thread has had a core for this many nanoseconds, and at most about 0.5 µs
/// longer.
pub fn busy(nanoseconds: u64) -> u64 {
    let end = core_time() + nanoseconds;
    let mut sum = 0;
    while core_time() < end {
        sum ^= turns(TURNS);
    }
    sum
}

/// Calls `f` while this many other threads of this process compute.
pub fn beside_work<R>(threads: usize, f: impl FnOnce() -> R) -> R {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    black_box(turns(10_000));
                }
            });
        }
        let result = f();
        over.store(true, Ordering::Relaxed);
        result
    })
}

/// Runs this many turns of a loop that the compiler cannot shorten.
#[inline(never)]
fn turns(count: u64) -> u64 {
    (0..count).fold(0, |sum, turn| black_box(sum ^ turn))
}

/// Returns the nanoseconds for which this thread has had a core.
fn core_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Returns the seconds that this many threads need for the items. The threads take items one after
/// the other and hand nothing over. No map on the same cores can be faster.
pub fn bare(items: &[u64], threads: usize) -> f64 {
    // A thread takes several short items at once, so that the counter costs nothing.
    let blocks: Vec<&[u64]> = items.chunks(items.len().div_ceil(10_000).max(1)).collect();
    let next = AtomicUsize::new(0);
    let take = || {
        while let Some(block) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
            for &item in *block {
                black_box(busy(item));
            }
        }
    };
    timed(|| {
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(take);
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_has_a_core_for_its_time() {
        let before = core_time();
        let taken = timed(|| busy(2_000_000));
        let had = core_time() - before;
        assert!(had >= 2_000_000, "{had} ns of a core");
        assert!(taken >= 0.002, "{taken} s");
    }

    #[test]
    fn bare_threads_do_all_items() {
        let alone = bare(&[1_000_000; 20], 1);
        assert!(alone >= 0.02, "20 items of 1 ms took {alone} s");
        // More items than go into one block.
        let both = bare(&[1_000; 20_001], 2);
        assert!(both >= 0.01, "20,001 items of 1 us took {both} s");
    }
}
