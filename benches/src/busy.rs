//! Work that takes no memory, for maps whose items take a known time.

use std::{hint::black_box, sync::Barrier, thread, time::Instant};

use crate::sampling::timed;

/// So many turns of a loop that the compiler cannot shorten.
#[inline(never)]
pub fn busy(loops: u64) -> u64 {
    (0..loops).fold(0, |sum, turn| black_box(sum ^ turn))
}

/// How many turns of [`busy`] take how long, here and now.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    per_second: f64,
}

impl Pace {
    /// Measures it, in some milliseconds.
    pub fn measure() -> Pace {
        const LOOPS: u64 = 100_000;
        let once = |_| timed(|| busy(black_box(LOOPS)));
        let mut taken: Vec<f64> = (0..101).map(once).collect();
        taken.sort_by(f64::total_cmp);
        Pace {
            per_second: LOOPS as f64 / taken[taken.len() / 2],
        }
    }

    /// So many turns take so many seconds.
    pub fn loops(self, seconds: f64) -> u64 {
        (self.per_second * seconds) as u64
    }
}

/// The seconds that so many threads need for the items, an equal part each, with nothing to hand
/// out. If one is slower, because of other programs, then so long as all together had needed.
pub fn bare(items: &[u64], threads: usize) -> f64 {
    let barrier = Barrier::new(threads);
    let speed = |part: usize| {
        barrier.wait();
        let start = Instant::now();
        for &loops in items.iter().skip(part).step_by(threads) {
            black_box(busy(loops));
        }
        1.0 / start.elapsed().as_secs_f64()
    };
    let speed = &speed;
    let together: f64 = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|part| scope.spawn(move || speed(part)))
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or(f64::NAN))
            .sum()
    });
    threads as f64 / together
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_the_turns_take_longer() {
        let pace = Pace { per_second: 1e9 };
        assert_eq!(pace.loops(1e-3), 1_000_000);
        let time = |loops| {
            (0..5)
                .map(|_| timed(|| busy(loops)))
                .fold(f64::MAX, f64::min)
        };
        assert!(time(4_000_000) > 1.5 * time(1_000_000));
    }

    #[test]
    fn bare_threads_do_all_items() {
        let pace = Pace::measure();
        let items = vec![pace.loops(1e-3); 20];
        let alone = (0..5).map(|_| bare(&items, 1)).fold(f64::MAX, f64::min);
        assert!(
            (0.005..0.2).contains(&alone),
            "20 items of 1 ms took {alone} s"
        );
    }
}
