//! Times of two or more ways to do the same work. The ways are measured in turn, since a machine
//! with other load changes from second to second.

use std::{
    env,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Returns whether the program shall run smaller: with `--small`, its only argument.
///
/// # Errors
/// There is another argument.
pub fn small() -> Result<bool> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(false),
        ["--small"] => Ok(true),
        _ => bail!("the only argument is --small: a smaller run, of some seconds"),
    }
}

/// The times of one way.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Calls `work` and adds its time.
    pub fn time<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = work();
        self.add(start.elapsed());
        result
    }

    /// Adds a time that was measured elsewhere.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Returns the median in seconds.
    ///
    /// # Panics
    /// There are no times.
    pub fn median(&self) -> f64 {
        let mut times = self.0.clone();
        times.sort();
        times[times.len() / 2].as_secs_f64()
    }
}

/// Formats seconds with a fitting unit.
pub fn shown(seconds: f64) -> String {
    let units = [(1.0, "s"), (1e-3, "ms"), (1e-6, "us")];
    let unit = units.into_iter().find(|(unit, _)| seconds >= *unit);
    let (unit, name) = unit.unwrap_or((1e-9, "ns"));
    format!("{:.2} {name}", seconds / unit)
}

/// Formats the quotient of `reference` and `seconds`: how many times as fast as the reference.
pub fn faster(reference: f64, seconds: f64) -> String {
    format!("{:.2}", reference / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let mut times = Times::default();
        for ms in [30, 10, 20] {
            times.add(Duration::from_millis(ms));
        }
        assert_eq!(times.median(), 0.02);
        assert_eq!(times.time(|| 7), 7);
        assert_eq!(faster(3.0, 2.0), "1.50");
        assert_eq!(
            [2.0, 0.0025, 1e-9].map(shown),
            ["2.00 s", "2.50 ms", "1.00 ns"]
        );
    }
}
