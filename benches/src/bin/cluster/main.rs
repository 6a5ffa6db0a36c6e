//! Measures Mobula's rows on a Ray cluster, for `benches/cluster.py`.
//!
//! Each line of standard input names a row and its number of repetitions. The answer is one line of
//! JSON with the seconds of each repetition. So the script can measure Mobula and plain Ray in
//! turn.

#![forbid(unsafe_code)]

use std::{
    io::{BufRead, Write},
    time::Instant,
};

use mobula::prelude::*;
use mobula_benches::busy::busy;

type Failure = Box<dyn std::error::Error>;

const MIB: usize = 1 << 20;

/// The number of tasks in the row with many tasks in flight.
const MANY: usize = 1000;

#[remote]
fn nothing() {}

#[remote]
fn last(bytes: &[u8]) -> u8 {
    bytes[bytes.len() - 1]
}

#[remote]
fn make(bytes: usize) -> Vec<u8> {
    vec![1; bytes]
}

#[remote]
fn item(nanoseconds: u64) {
    busy(nanoseconds);
}

/// A runtime and the objects that the rows read.
struct Measured {
    rt: Runtime,
    small: ObjectRef<Vec<u8>>,
    large: ObjectRef<Vec<u8>>,
    source: Vec<u8>,
}

impl Measured {
    fn new(large: usize) -> Result<Measured, Failure> {
        let rt = Runtime::start()?;
        Ok(Measured {
            small: rt.put(&vec![7; MIB])?,
            large: rt.put(&vec![7; large])?,
            source: vec![7; 100 * MIB],
            rt,
        })
    }

    /// Measures a row once. Returns the seconds.
    fn once(&self, row: &str) -> Result<f64, Failure> {
        let began = Instant::now();
        match row {
            "roundtrip" => self.rt.spawn(nothing::remote()).get()?,
            "inflight" => {
                let refs: Vec<_> = (0..MANY)
                    .map(|_| self.rt.spawn(nothing::remote()))
                    .collect();
                for r in &refs {
                    r.get()?;
                }
            }
            "task_small" => assert_eq!(self.rt.spawn(last::remote(&self.small)).get()?, 7),
            "task_large" => assert_eq!(self.rt.spawn(last::remote(&self.large)).get()?, 7),
            "put" => drop(self.rt.put(&self.source)?),
            "result" => {
                let made = self.rt.spawn(make::remote(100 * MIB));
                assert_eq!(made.view()?.len(), 100 * MIB);
            }
            _ => {
                let items = row.strip_prefix("map=").ok_or("no such row")?.parse()?;
                let calls = (0..items).map(|_: usize| item::remote(100_000));
                let done: Vec<()> = self.rt.map(calls).get()?;
                assert_eq!(done.len(), items);
            }
        }
        Ok(began.elapsed().as_secs_f64())
    }
}

fn main() -> Result<(), Failure> {
    mobula::init();
    let large = std::env::args()
        .nth(1)
        .ok_or("how many bytes has the large array?")?;
    let measured = Measured::new(large.parse()?)?;
    let mut out = std::io::stdout();
    writeln!(out, "ready")?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (row, times) = line.split_once(' ').ok_or("a row and how often")?;
        let times: usize = times.parse()?;
        let samples = (0..times)
            .map(|_| measured.once(row))
            .collect::<Result<Vec<f64>, Failure>>()?;
        writeln!(out, "{}", serde_json::to_string(&samples)?)?;
        out.flush()?;
    }
    Ok(())
}
