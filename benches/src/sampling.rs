//! Repetitions of one measurement, and their summary.

use std::time::{Duration, Instant};

/// The plan of a measurement: at least `least` samples, then further samples until `time` has
/// passed or there are `most`.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The number of first samples that are thrown away. The warm-up ends earlier after `time`.
    pub warm_up: usize,
    /// The least number of samples, at least 1.
    pub least: usize,
    /// The most samples.
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
    /// The number of warm-up samples that are left.
    cold: usize,
    /// The time at which the warm-up began.
    warming: Option<Instant>,
    values: Vec<f64>,
    /// The time at which the warm-up ended.
    began: Option<Instant>,
}

impl Sampler {
    /// Returns a sampler without samples.
    pub fn new(plan: Plan) -> Sampler {
        Sampler {
            plan,
            cold: plan.warm_up,
            warming: None,
            values: Vec::new(),
            began: None,
        }
    }

    /// Returns whether the plan wants a further sample.
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

    /// Takes a sample, in any unit.
    pub fn add(&mut self, value: f64) {
        match self.cold {
            0 => self.values.push(value),
            _ => self.cold -= 1,
        }
    }

    /// Returns the summary of the samples.
    ///
    /// # Panics
    /// There are no samples. Callers loop over [`more`](Self::more) before.
    pub fn summary(self) -> Summary {
        Summary::of(self.values)
    }
}

/// Measures according to the plan. `sample` returns one sample.
///
/// # Errors
/// The first error of `sample`.
pub fn measure<E>(plan: Plan, mut sample: impl FnMut() -> Result<f64, E>) -> Result<Summary, E> {
    let mut sampler = Sampler::new(plan);
    while sampler.more() {
        sampler.add(sample()?);
    }
    Ok(sampler.summary())
}

/// Returns the seconds that `work` takes. The drop of its result does not count.
pub fn timed<R>(work: impl FnOnce() -> R) -> f64 {
    let start = Instant::now();
    let result = work();
    let elapsed = start.elapsed();
    std::hint::black_box(result);
    elapsed.as_secs_f64()
}

/// The median and the spread of samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The median: half of the samples are not above it.
    pub median: f64,
    /// The 10th percentile: one tenth of the samples is not above it.
    pub p10: f64,
    /// The 90th percentile: nine tenths of the samples are not above it.
    pub p90: f64,
    /// The 99th percentile: all but one in a hundred samples are not above it.
    pub p99: f64,
    /// The number of samples.
    pub count: usize,
}

impl Summary {
    /// Returns the summary of these samples.
    ///
    /// # Panics
    /// There are no samples.
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

    /// Returns the summaries of two things that were measured in turn. They are of the turn whose
    /// ratio of medians is the middle one. Other work of the machine in a turn affects both things.
    ///
    /// # Panics
    /// There are no turns.
    pub fn middle_turn(mut turns: Vec<[Summary; 2]>) -> [Summary; 2] {
        assert!(!turns.is_empty(), "no turns to choose from");
        let ratio = |[one, other]: &[Summary; 2]| one.median / other.median;
        turns.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
        turns[turns.len() / 2]
    }

    /// Returns the summary of one value that is not repeated.
    pub fn single(value: f64) -> Summary {
        Summary::of(vec![value])
    }
}

/// Returns the value below which this share of the sorted values lies. It interpolates between the
/// two neighbours.
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
