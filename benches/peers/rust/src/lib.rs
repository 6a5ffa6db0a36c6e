//! The common parts of the Rust peers: repetitions, busy work, and the lines for the suite.
//!
//! Each row is one JSON object on standard output: see `../common.py` for the fields. Row names and
//! units are those of `benches/src/bin/suite/rows/`.

#![forbid(unsafe_code)]

use std::{
    hint::black_box,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

/// The number of workers. The suite gives it to all peers.
pub const WORKERS: usize = 2;

/// Measures and prints the rows of one peer, one after the other.
#[derive(Debug)]
pub struct Peer {
    name: &'static str,
    version: String,
    quick: bool,
}

impl Peer {
    /// Reads the program's arguments. `--quick` takes a tenth of the time.
    pub fn new(name: &'static str, version: &str) -> Peer {
        let quick = std::env::args().any(|arg| arg == "--quick");
        Peer {
            name,
            version: version.into(),
            quick,
        }
    }

    /// Returns the size for a full run, or the one for a quick run.
    pub fn size(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// Returns the time for a row.
    pub fn limit(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(if self.quick { seconds * 0.1 } else { seconds })
    }

    /// Prints one row.
    pub fn emit(&self, row: &str, unit: &str, samples: Vec<f64>, note: Option<&str>) {
        let mut line = json!({
            "peer": self.name, "version": self.version, "row": row, "unit": unit,
        });
        if let Some(note) = note {
            line["note"] = note.into();
        }
        if samples.len() <= 30 {
            line["samples"] = json!(samples);
        } else {
            let mut sorted = samples;
            sorted.sort_by(f64::total_cmp);
            line["n"] = sorted.len().into();
            for (name, share) in [("median", 0.5), ("p10", 0.1), ("p90", 0.9), ("p99", 0.99)] {
                line[name] = json!(percentile(&sorted, share));
            }
        }
        println!("{line}");
    }

    /// Returns the seconds of each call of `work`, until the time has passed.
    pub fn samples(&self, seconds: f64, warm_up: usize, mut work: impl FnMut()) -> Vec<f64> {
        (0..warm_up).for_each(|_| work());
        let (began, limit) = (Instant::now(), self.limit(seconds));
        let mut taken = Vec::new();
        while taken.len() < 3 || (taken.len() < 500_000 && began.elapsed() < limit) {
            let start = Instant::now();
            work();
            taken.push(start.elapsed().as_secs_f64());
        }
        taken
    }

    /// Measures a row in seconds.
    pub fn time(&self, row: &str, warm_up: usize, work: impl FnMut()) {
        let taken = self.samples(1.0, warm_up, work);
        self.emit(row, "s", taken, None);
    }

    /// Measures a row per second. One call of `work` does `count` units.
    pub fn rate(&self, row: &str, count: usize, note: Option<&str>, work: impl FnMut()) {
        let taken = self.samples(1.0, 1, work);
        self.emit(row, "1/s", rates(&taken, count), note);
    }

    /// Measures single empty tasks: their time, and their number per second.
    pub fn round_trips(&self, warm_up: usize, work: impl FnMut()) {
        let taken = self.samples(1.0, warm_up, work);
        self.emit("tasks_sync", "1/s", rates(&taken, 1), None);
        self.emit("roundtrip", "s", taken, None);
    }

    /// Measures a thousand empty tasks in flight, for three rows.
    pub fn thousand(&self, work: impl FnMut()) {
        let taken = self.samples(1.0, 1, work);
        self.emit("inflight_1k", "1/s", rates(&taken, 1000), None);
        self.emit("tasks_async", "1/s", rates(&taken, 1000), None);
        self.emit("tasks_and_get_batch", "1/s", rates(&taken, 1), None);
    }

    /// Measures one call after one idle second.
    pub fn cold(&self, mut work: impl FnMut()) {
        work();
        let taken = (0..self.size(8, 2)).map(|_| {
            thread::sleep(Duration::from_secs(1));
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        });
        self.emit("cold", "s", taken.collect(), None);
    }

    /// Measures the rows of maps over items of busy work, as shares of two bare threads' speed.
    /// `run` maps [`busy`] over the items.
    pub fn busy_maps(&self, divide: usize, mut run: impl FnMut(&[u64])) {
        for (row, nanoseconds, count) in [
            ("map_10us", 10_000, 100_000),
            ("map_100us", 100_000, 10_000),
            ("map_1ms", 1_000_000, 1_000),
        ] {
            let count = self.size(count, count / 10) / divide;
            let items = vec![nanoseconds; count];
            run(&items);
            let mut before = bare(&items);
            let efficiency = (0..self.size(11, 2)).map(|_| {
                let start = Instant::now();
                run(&items);
                let taken = start.elapsed().as_secs_f64();
                let after = bare(&items);
                let bare = (before + after) / 2.0;
                before = after;
                bare / taken
            });
            self.emit(
                row,
                "ratio",
                efficiency.collect(),
                Some(&format!("{count} items")),
            );
        }
        let count = self.size(10_000, 1_000) / divide;
        let short = vec![100_000; count];
        let long = if self.quick {
            100_000_000
        } else {
            1_000_000_000
        };
        let mut skewed = short.clone();
        skewed.insert(count / 2, long);
        let mut timed = |items: &[u64]| {
            let start = Instant::now();
            run(items);
            start.elapsed().as_secs_f64()
        };
        let added = (0..self.size(3, 2)).map(|_| {
            let even = timed(&short);
            let start = Instant::now();
            busy(long);
            let alone = start.elapsed().as_secs_f64();
            (timed(&skewed) - even) / alone
        });
        self.emit(
            "map_skewed",
            "ratio",
            added.collect(),
            Some(&format!("{count} short items")),
        );
    }
}

fn rates(taken: &[f64], count: usize) -> Vec<f64> {
    taken.iter().map(|seconds| count as f64 / seconds).collect()
}

/// Returns the value below which this share of the sorted values lies, interpolated.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    below + (above - below) * place.fract()
}

/// Computes until this thread has had a core for this many nanoseconds. A neighbour that slows both
/// cores down makes no item longer.
pub fn busy(nanoseconds: u64) -> u64 {
    let end = core_time() + nanoseconds;
    let mut sum = 0;
    while core_time() < end {
        sum ^= turns();
    }
    sum
}

/// Computes for about 0.2 µs without memory. The compiler cannot shorten the loop.
#[inline(never)]
fn turns() -> u64 {
    (0..200).fold(0, |sum, turn| black_box(sum ^ turn))
}

/// Returns the nanoseconds for which this thread has had a core.
fn core_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Returns the seconds that bare threads need for the items. They take items one after the other
/// and hand nothing over.
fn bare(items: &[u64]) -> f64 {
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
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(take);
        }
    });
    start.elapsed().as_secs_f64()
}
