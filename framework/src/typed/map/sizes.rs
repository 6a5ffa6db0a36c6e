//! The number of calls of a batch.
//!
//! A batch should take so long that its own cost is small. It should not take longer, since its
//! calls run on one worker. The duration of a call is not known beforehand. So batches begin with
//! one call and grow by the times that the workers measure. Towards the end of the calls, batches
//! become smaller again, so that all workers finish together. This is guided self-scheduling
//! (Polychronopoulos and Kuck, 1987) with time in place of number.

use std::time::Duration;

/// The last batches take at least the target time divided by this.
const LEAST_PART: u32 = 50;

/// The most by which the size of batches grows in one step. Times of few calls say little.
const GROWTH: usize = 8;

/// The most calls of a batch. Other limits end a batch long before.
const MOST: usize = 1 << 16;

#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    fixed: Option<usize>,
    /// The time that a batch should take. The cost of its way there and back is about a hundredth
    /// of this time if the workers have all cores, and much less otherwise.
    target: Duration,
    /// The number of calls that fit into the target time, by the calls so far.
    fitting: usize,
    /// The number of calls that fit into the least time.
    least: usize,
}

impl Sizes {
    /// Returns sizes that follow the target time, or the fixed size.
    pub(super) fn new(fixed: Option<usize>, target: Duration) -> Sizes {
        Sizes {
            fixed,
            target,
            fitting: 1,
            least: 1,
        }
    }

    /// Returns the size of the next batch. At least `left` calls are left, for this many workers.
    pub(super) fn next(&self, left: Option<usize>, workers: usize) -> usize {
        if let Some(fixed) = self.fixed {
            return fixed;
        }
        let share = left.map_or(MOST, |left| left / (2 * workers.max(1)));
        share.max(self.least).min(self.fitting)
    }

    /// Records that `calls` calls took this long together.
    pub(super) fn measured(&mut self, calls: usize, took: Duration) {
        let each = (took.as_nanos() / calls.max(1) as u128).max(1);
        let fit = |time: Duration| usize::try_from(time.as_nanos() / each).unwrap_or(MOST);
        let most = calls.saturating_mul(GROWTH).min(MOST);
        // The size shrinks at once, but at most by half. One slow call among many is no trend.
        let least = (self.fitting / 2).max(1);
        let fitting = fit(self.target).clamp(1, most.max(self.fitting));
        self.fitting = fitting.max(least);
        self.least = fit(self.target / LEAST_PART).clamp(1, self.fitting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Option<usize> = Some(10_000_000);
    const LOCAL: Duration = Duration::from_millis(5);

    /// Returns the sizes of batches whose calls have this duration.
    fn sizes(each: Duration, batches: usize) -> Vec<usize> {
        let mut sizes = Sizes::new(None, LOCAL);
        let step = |_| {
            let size = sizes.next(LONG, 2);
            sizes.measured(size, each * size as u32);
            size
        };
        (0..batches).map(step).collect()
    }

    #[test]
    fn batches_grow_until_they_take_the_time() {
        assert_eq!(
            sizes(Duration::from_nanos(100), 6),
            [1, 8, 64, 512, 4_096, 32_768]
        );
        assert_eq!(sizes(Duration::from_micros(10), 5), [1, 8, 64, 500, 500]);
        assert_eq!(sizes(Duration::from_millis(1), 3), [1, 5, 5]);
    }

    #[test]
    fn one_slow_call_does_not_end_batches() {
        let mut sizes = Sizes::new(None, LOCAL);
        for _ in 0..6 {
            let size = sizes.next(LONG, 2);
            sizes.measured(size, Duration::from_micros(size as u64));
        }
        assert_eq!(sizes.next(LONG, 2), 5_000);
        sizes.measured(5_000, Duration::from_secs(1));
        assert_eq!(sizes.next(LONG, 2), 2_500);
        sizes.measured(2_500, Duration::from_micros(2_500));
        assert_eq!(sizes.next(LONG, 2), 5_000);
    }

    #[test]
    fn the_last_batches_are_small_but_not_tiny() {
        let mut sizes = Sizes::new(None, LOCAL);
        for _ in 0..6 {
            let size = sizes.next(LONG, 2);
            sizes.measured(size, Duration::from_micros(size as u64));
        }
        assert_eq!(sizes.next(Some(4_000), 2), 1_000);
        assert_eq!(sizes.next(Some(480), 2), 120);
        assert_eq!(sizes.next(Some(10), 2), 100);
        assert_eq!(sizes.next(None, 2), 5_000);
    }

    #[test]
    fn an_engine_whose_tasks_cost_more_has_longer_batches() {
        let mut sizes = Sizes::new(None, Duration::from_millis(100));
        for wanted in [1, 8, 64, 512, 1000, 1000] {
            let size = sizes.next(LONG, 2);
            assert_eq!(size, wanted);
            sizes.measured(size, Duration::from_micros(100) * size as u32);
        }
        assert_eq!(sizes.next(Some(8), 2), 20);
    }

    #[test]
    fn a_fixed_size_stays() {
        let mut sizes = Sizes::new(Some(7), LOCAL);
        sizes.measured(7, Duration::from_secs(7));
        assert_eq!(sizes.next(Some(3), 64), 7);
    }
}
