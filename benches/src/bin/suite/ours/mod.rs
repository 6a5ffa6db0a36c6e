//! Mobula's own rows, in parts. Each part runs in a process of its own. So a failed part ends no
//! other part, and each part begins with fresh memory.

use std::{fmt::Display, time::Duration};

use mobula::prelude::*;
use mobula_benches::sampling::{Plan, Summary, measure as sample, timed};

use crate::{
    Result,
    protocol::{FLOOR, Measurement, OURS, Outcome},
    rows,
};

mod actors;
pub(crate) mod calls;
mod clients;
mod control;
mod life;
pub(crate) mod many;
pub(crate) mod maps;
mod nested;
mod objects;
mod queue;
mod results;
pub(crate) mod shared;
mod store;
mod streams;

/// The number of workers. All peers get the same number.
pub(crate) const WORKERS: usize = 2;

type Measure = fn(&Out) -> Result<()>;

/// The parts in the order of their runs.
pub(crate) const PARTS: [(&str, Measure); 14] = [
    ("calls", calls::measure),
    ("many", many::measure),
    ("nested", nested::measure),
    ("queue", queue::measure),
    ("clients", clients::measure),
    ("control", control::measure),
    ("streams", streams::measure),
    ("actors", actors::measure),
    ("maps", maps::measure),
    ("store", store::measure),
    ("results", results::measure),
    ("objects", objects::measure),
    ("shared", shared::measure),
    ("life", life::measure),
];

/// Measures one part, and prints its rows.
///
/// # Errors
/// The part is unknown, or fails as a whole.
pub(crate) fn measure(part: &str, quick: bool) -> Result<()> {
    let (_, measure) = PARTS
        .iter()
        .find(|(name, _)| *name == part)
        .ok_or_else(|| format!("there is no part `{part}`"))?;
    measure(&Out { quick })
}

/// The empty task.
#[remote]
pub(crate) fn nothing() {}

/// Prints rows.
#[derive(Debug)]
pub(crate) struct Out {
    pub(crate) quick: bool,
}

impl Out {
    /// Prints a row of Mobula's.
    pub(crate) fn row(&self, row: &str, summary: Summary) {
        self.print(OURS, row, summary, None);
    }

    /// Prints a row of Mobula's with a note. The note says how the row differs from its label.
    pub(crate) fn row_with(&self, row: &str, summary: Summary, note: impl Into<String>) {
        self.print(OURS, row, summary, Some(note.into()));
    }

    /// Attempts a row of a rate. Each call of `work` does `count` units.
    pub(crate) fn rate(
        &self,
        row: &str,
        count: f64,
        plan: Plan,
        mut work: impl FnMut() -> mobula::Result<()>,
    ) {
        self.attempt(row, || {
            let times = sample(plan, || {
                let mut result = Ok(());
                let seconds = timed(|| result = work());
                result.map(|()| seconds)
            })?;
            self.row(row, per_second(count, times));
            Ok(())
        });
    }

    pub(crate) fn floor(&self, row: &str, summary: Summary) {
        self.print(FLOOR, row, summary, None);
    }

    fn print(&self, peer: &str, row: &str, summary: Summary, note: Option<String>) {
        let outcome = match rows::unit(peer, row) {
            Some(unit) => Outcome::Measured(summary, unit),
            None => Outcome::Failed("it is not in the catalogue".into()),
        };
        print(peer, row, outcome, note);
    }

    /// Calls `measure`. An error becomes the error of the row, and the next row follows.
    pub(crate) fn attempt(&self, row: &str, measure: impl FnOnce() -> Result<()>) {
        if let Err(error) = measure() {
            self.failed(row, error);
        }
    }

    fn failed(&self, row: &str, error: impl Display) {
        print(OURS, row, Outcome::Failed(error.to_string()), None);
    }

    /// Returns the size for a full run, or the one for a quick run.
    pub(crate) fn size(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// Returns the plan for work that takes microseconds. The samples take about this many seconds.
    pub(crate) fn fast(&self, seconds: f64) -> Plan {
        Plan {
            warm_up: 1000,
            least: 20,
            most: 500_000,
            time: self.time(seconds),
        }
    }

    /// Returns the plan for work that takes at least milliseconds.
    pub(crate) fn slow(&self, least: usize, seconds: f64) -> Plan {
        Plan {
            warm_up: 1,
            least: if self.quick { least.min(3) } else { least },
            most: 10_000,
            time: self.time(seconds),
        }
    }

    fn time(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(if self.quick { 0.1 * seconds } else { seconds })
    }
}

fn print(peer: &str, row: &str, outcome: Outcome, note: Option<String>) {
    let measurement = Measurement {
        peer: peer.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        row: row.into(),
        outcome,
        note,
    };
    println!("{measurement}");
}

/// Turns times into rates. Each time is the time of `count` units.
pub(crate) fn per_second(count: f64, seconds: Summary) -> Summary {
    Summary {
        median: count / seconds.median,
        // The slowest tenth of times is the lowest tenth of rates.
        p10: count / seconds.p90,
        p90: count / seconds.p10,
        p99: count / seconds.p10,
        count: seconds.count,
    }
}

pub(crate) fn runtime() -> mobula::Result<Runtime> {
    Runtime::builder().workers(WORKERS).start()
}

/// Starts a runtime whose store has room for this many bytes and 256 MiB.
pub(crate) fn runtime_for(bytes: usize) -> mobula::Result<Runtime> {
    let capacity = bytes as u64 + (256 << 20);
    Runtime::builder()
        .workers(WORKERS)
        .store_capacity(capacity)
        .start()
}
