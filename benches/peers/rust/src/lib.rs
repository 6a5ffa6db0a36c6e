//! What the Rust peers share: repetitions, busy work, and the lines that the suite reads.
//!
//! Each row is one JSON object on standard output; see `../common.py` for the fields. Row names
//! and units are those of `benches/src/bin/suite/rows.rs`.

#![forbid(unsafe_code)]

use std::{
    hint::black_box,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

/// As many as the suite gives to all.
pub const WORKERS: usize = 2;

/// The rows of one peer, measured and printed one after the other.
#[derive(Debug)]
pub struct Peer {
    name: &'static str,
    version: String,
    quick: bool,
}

impl Peer {
    /// With the program's arguments: `--quick` takes a tenth of the time.
    pub fn new(name: &'static str, version: &str) -> Peer {
        let quick = std::env::args().any(|arg| arg == "--quick");
        Peer {
            name,
            version: version.into(),
            quick,
        }
    }

    /// How many of something there are.
    pub fn size(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// How long a row is measured.
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

    /// The seconds that each call of `work` takes, until the time has passed.
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

    /// A row in seconds.
    pub fn time(&self, row: &str, warm_up: usize, work: impl FnMut()) {
        let taken = self.samples(1.0, warm_up, work);
        self.emit(row, "s", taken, None);
    }

    /// A row per second: one call of `work` does `count` of something.
    pub fn rate(&self, row: &str, count: usize, note: Option<&str>, work: impl FnMut()) {
        let taken = self.samples(1.0, 1, work);
        self.emit(row, "1/s", rates(&taken, count), note);
    }

    /// One empty task after the other: their time, and how many there are per second.
    pub fn round_trips(&self, warm_up: usize, work: impl FnMut()) {
        let taken = self.samples(1.0, warm_up, work);
        self.emit("tasks_sync", "1/s", rates(&taken, 1), None);
        self.emit("roundtrip", "s", taken, None);
    }

    /// A thousand empty tasks in flight, which three rows name.
    pub fn thousand(&self, work: impl FnMut()) {
        let taken = self.samples(1.0, 1, work);
        self.emit("inflight_1k", "1/s", rates(&taken, 1000), None);
        self.emit("tasks_async", "1/s", rates(&taken, 1000), None);
        self.emit("tasks_and_get_batch", "1/s", rates(&taken, 1), None);
    }

    /// One call after one second in which nothing happens.
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

    /// The rows of maps over items of busy work: how much of two bare threads' speed is left.
    /// `run` maps [`busy`] over the items.
    pub fn busy_maps(&self, divide: usize, mut run: impl FnMut(&[u64])) {
        let per_second = loops_per_second();
        for (row, seconds, count) in [
            ("map_10us", 1e-5, 100_000),
            ("map_100us", 1e-4, 10_000),
            ("map_1ms", 1e-3, 1_000),
        ] {
            let count = self.size(count, count / 10) / divide;
            let items = vec![loops(per_second, seconds); count];
            run(&items);
            let efficiency = (0..self.size(5, 2)).map(|_| {
                let bare = bare(&items);
                let start = Instant::now();
                run(&items);
                bare / start.elapsed().as_secs_f64()
            });
            self.emit(
                row,
                "ratio",
                efficiency.collect(),
                Some(&format!("{count} items")),
            );
        }
        let count = self.size(10_000, 1_000) / divide;
        let short = vec![loops(per_second, 1e-4); count];
        let long = loops(per_second, if self.quick { 0.1 } else { 1.0 });
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

/// The value below which this share of the sorted values lies, between its two neighbours.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    below + (above - below) * place.fract()
}

/// Work that takes no memory and that the compiler cannot shorten.
#[inline(never)]
pub fn busy(loops: u64) -> u64 {
    (0..loops).fold(0, |sum, turn| black_box(sum ^ turn))
}

fn loops_per_second() -> f64 {
    const LOOPS: u64 = 100_000;
    let mut taken: Vec<f64> = (0..100)
        .map(|_| {
            let start = Instant::now();
            black_box(busy(black_box(LOOPS)));
            start.elapsed().as_secs_f64()
        })
        .collect();
    taken.sort_by(f64::total_cmp);
    LOOPS as f64 / taken[taken.len() / 2]
}

fn loops(per_second: f64, seconds: f64) -> u64 {
    (per_second * seconds) as u64
}

/// The seconds that two threads need for half of the items each, with nothing to hand out. If one
/// is slower, because of other programs, then so long as both together had needed.
fn bare(items: &[u64]) -> f64 {
    let barrier = Barrier::new(WORKERS);
    let speed: f64 = thread::scope(|scope| {
        let part = |part| {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                let start = Instant::now();
                items.iter().skip(part).step_by(WORKERS).for_each(|&loops| {
                    black_box(busy(loops));
                });
                1.0 / start.elapsed().as_secs_f64()
            })
        };
        let threads: Vec<_> = (0..WORKERS).map(part).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(f64::NAN))
            .sum()
    });
    WORKERS as f64 / speed
}
