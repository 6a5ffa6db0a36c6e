//! Repetitions of one measurement, and what they say.

use std::time::{Duration, Instant};

/// How often something is measured: at least `least` times, then until `time` has passed or there
/// are `most` samples.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The first samples, which are thrown away: so many, or those of the first `time`, if that is
    /// fewer.
    pub warm_up: usize,
    /// Samples that there are in any case; at least 1.
    pub least: usize,
    /// Samples after which it ends.
    pub most: usize,
    /// The time for the samples, without the warm-up.
    pub time: Duration,
}

/// Collects the samples of one measurement, from blocking or asynchronous code alike.
///
/// ```
/// use mobula_benches::sampling::{Plan, Sampler, timed};
///
/// let plan = Plan { warm_up: 1, least: 10, most: 10, time: Default::default() };
/// let mut sampler = Sampler::new(plan);
/// while sampler.more() {
///     sampler.add(timed(|| std::hint::black_box(1 + 1)));
/// }
/// assert_eq!(sampler.summary().count, 10);
/// ```
#[derive(Debug)]
pub struct Sampler {
    plan: Plan,
    /// Samples of the warm-up that are still to come.
    cold: usize,
    /// When the warm-up began.
    warming: Option<Instant>,
    values: Vec<f64>,
    /// When the warm-up was over.
    began: Option<Instant>,
}

impl Sampler {
    /// Without samples.
    pub fn new(plan: Plan) -> Sampler {
        Sampler {
            plan,
            cold: plan.warm_up,
            warming: None,
            values: Vec::new(),
            began: None,
        }
    }

    /// Whether one more sample is wanted.
    pub fn more(&mut self) -> bool {
        if self.cold > 0 {
            let warming = self.warming.get_or_insert_with(Instant::now);
            if self.cold == self.plan.warm_up || warming.elapsed() < self.plan.time {
                return true;
            }
            self.cold = 0;
        }
        let began = *self.began.get_or_insert_with(Instant::now);
        let count = self.values.len();
        count < self.plan.least.max(1)
            || (count < self.plan.most && began.elapsed() < self.plan.time)
    }

    /// Takes a sample, in whatever unit.
    pub fn add(&mut self, value: f64) {
        match self.cold {
            0 => self.values.push(value),
            _ => self.cold -= 1,
        }
    }

    /// What the samples say.
    ///
    /// # Panics
    /// If there are none: this comes after a loop over [`more`](Self::more).
    pub fn summary(self) -> Summary {
        Summary::of(self.values)
    }
}

/// Measures as planned; `sample` gives one sample.
///
/// # Errors
/// The first of `sample`.
pub fn measure<E>(plan: Plan, mut sample: impl FnMut() -> Result<f64, E>) -> Result<Summary, E> {
    let mut sampler = Sampler::new(plan);
    while sampler.more() {
        sampler.add(sample()?);
    }
    Ok(sampler.summary())
}

/// The seconds that `work` takes. Its result is dropped afterwards, outside of that time.
pub fn timed<R>(work: impl FnOnce() -> R) -> f64 {
    let start = Instant::now();
    let result = work();
    let elapsed = start.elapsed();
    std::hint::black_box(result);
    elapsed.as_secs_f64()
}

/// Median and spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Half of the samples are not above it.
    pub median: f64,
    /// One tenth of the samples is not above it.
    pub p10: f64,
    /// Nine tenths are not above it.
    pub p90: f64,
    /// All but one in a hundred are not above it.
    pub p99: f64,
    /// How many samples there are.
    pub count: usize,
}

impl Summary {
    /// Of these samples.
    ///
    /// # Panics
    /// If there are none.
    pub fn of(mut values: Vec<f64>) -> Summary {
        assert!(!values.is_empty(), "no samples to summarise");
        values.sort_by(f64::total_cmp);
        let at = |share| percentile(&values, share);
        Summary {
            median: at(0.5),
            p10: at(0.1),
            p90: at(0.9),
            p99: at(0.99),
            count: values.len(),
        }
    }

    /// Of two things that were measured in turn: the turn in which the ratio of their medians is
    /// the middle one. What the machine did in a turn, it did to both.
    ///
    /// # Panics
    /// If there are none.
    pub fn middle_turn(mut turns: Vec<[Summary; 2]>) -> [Summary; 2] {
        assert!(!turns.is_empty(), "no turns to choose from");
        let ratio = |[one, other]: &[Summary; 2]| one.median / other.median;
        turns.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
        turns[turns.len() / 2]
    }

    /// Of one value that is not repeated.
    pub fn single(value: f64) -> Summary {
        Summary::of(vec![value])
    }
}

/// The value below which this share of the sorted values lies, between its two neighbours.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(warm_up: usize, least: usize, most: usize, time: Duration) -> Plan {
        Plan {
            warm_up,
            least,
            most,
            time,
        }
    }

    #[test]
    fn percentiles_lie_between_neighbours() {
        let summary = Summary::of((0..=100).rev().map(f64::from).collect());
        assert_eq!(
            (summary.median, summary.p10, summary.p90, summary.p99),
            (50.0, 10.0, 90.0, 99.0)
        );
        assert_eq!(Summary::of(vec![4.0, 1.0]).median, 2.5);
        assert_eq!(Summary::of(vec![4.0, 1.0]).p90, 3.7);
    }

    #[test]
    fn one_value_is_all_its_percentiles() {
        let summary = Summary::single(7.0);
        assert_eq!(
            [summary.median, summary.p10, summary.p90, summary.p99],
            [7.0; 4]
        );
        assert_eq!(summary.count, 1);
    }

    #[test]
    fn the_middle_turn_is_that_of_the_middle_ratio() {
        let turns = [[3.0, 1.0], [90.0, 10.0], [5.0, 1.0]];
        let turns = turns.map(|turn| turn.map(Summary::single)).to_vec();
        let middle = Summary::middle_turn(turns).map(|summary| summary.median);
        assert_eq!(middle, [5.0, 1.0]);
    }

    #[test]
    #[should_panic(expected = "no samples")]
    fn nothing_cannot_be_summarised() {
        Summary::of(Vec::new());
    }

    #[test]
    fn the_warm_up_does_not_count() {
        let mut next = 0.0;
        let summary = measure(plan(3, 2, 5, Duration::MAX), || {
            next += 1.0;
            Ok::<_, ()>(next)
        });
        let summary = summary.unwrap();
        assert_eq!((summary.count, summary.median), (5, 6.0));
    }

    #[test]
    fn the_warm_up_ends_with_its_time() {
        let mut calls = 0;
        let summary = measure(plan(1000, 2, 2, Duration::ZERO), || {
            calls += 1;
            Ok::<_, ()>(f64::from(calls))
        });
        assert_eq!((summary.unwrap().median, calls), (2.5, 3));
    }

    #[test]
    fn there_are_the_least_samples_even_without_time() {
        let count = |least| {
            measure(plan(0, least, 100, Duration::ZERO), || Ok::<_, ()>(1.0))
                .unwrap()
                .count
        };
        assert_eq!((count(4), count(0)), (4, 1));
    }

    #[test]
    fn an_error_ends_it() {
        assert_eq!(
            measure(plan(5, 1, 1, Duration::ZERO), || Err("stop")),
            Err("stop")
        );
    }
}
