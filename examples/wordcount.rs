//! The words of eight tragedies, counted by tasks: map and reduce.
//!
//! The text is put into the store once. Each task counts the words of a part, which is a slice of
//! the text and no copy. Other tasks add up the counts of two neighbours, then those sums, and so
//! on. All counts but the last stay in the store, so the driver decodes one table. One thread
//! counts a text of this size fast, too: the program prints both times. Tasks pay for larger texts,
//! or for functions that do more work with each word.
//!
//! The program compares the result with a count by one thread.
//!
//! `cargo run --release -p mobula-examples --example wordcount`

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use mobula::prelude::*;
use mobula_examples::{text::tragedies, timed};

/// The approximate number of bytes in a part.
const PART: usize = 64 << 10;

type Counts = BTreeMap<String, u64>;

/// Returns the words: letters and the apostrophes between them, in lower case.
fn words(text: &[u8]) -> impl Iterator<Item = String> {
    let runs = text.split(|byte| !(byte.is_ascii_alphabetic() || *byte == b'\''));
    let words = runs.map(|run| {
        String::from_utf8_lossy(run)
            .trim_matches('\'')
            .to_lowercase()
    });
    words.filter(|word| !word.is_empty())
}

#[remote]
fn count(part: &[u8]) -> Counts {
    let mut counts = Counts::new();
    for word in words(part) {
        *counts.entry(word).or_default() += 1;
    }
    counts
}

#[remote]
fn add(a: Counts, b: Counts) -> Counts {
    let (mut all, few) = if a.len() < b.len() { (b, a) } else { (a, b) };
    for (word, count) in few {
        *all.entry(word).or_default() += count;
    }
    all
}

/// Returns the ends of the parts. A part ends with the line that has its `PART`-th byte.
fn ends(text: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let least = (start + PART).min(text.len());
        let line = text[least..].iter().position(|byte| *byte == b'\n');
        start = line.map_or(text.len(), |line| least + line + 1);
        ends.push(start);
    }
    ends
}

fn by_tasks(rt: &Runtime, text: &[u8]) -> mobula::Result<(Counts, usize)> {
    let stored = rt.put(text)?;
    let ends = ends(text);
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let parts = starts
        .zip(&ends)
        .map(|(start, end)| stored.slice(start..*end));
    let parts = parts.collect::<mobula::Result<Vec<_>>>()?;
    let counts = rt.map_fn(count::remote, parts).tree_reduce(add::remote);
    Ok((counts.get()?.unwrap_or_default(), ends.len()))
}

#[mobula::main]
fn main() -> Result<()> {
    let text = tragedies()?;
    let rt = Runtime::start()?;
    let (counted, time) = timed(|| by_tasks(&rt, text.as_bytes()));
    let (counts, parts) = counted?;
    let (expected, alone) = timed(|| count(text.as_bytes()));

    let total: u64 = counts.values().sum();
    println!(
        "{} bytes in {parts} parts: {total} words, {} different ones, {:.1} ms ({:.1} ms by one thread)",
        text.len(),
        counts.len(),
        1e3 * time.as_secs_f64(),
        1e3 * alone.as_secs_f64(),
    );
    let mut most: Vec<_> = counts.iter().collect();
    most.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    for (word, count) in most.iter().take(5) {
        println!("  {word:<10} {count:>6}");
    }
    println!("  {:<10} {:>6}", "hamlet", counts["hamlet"]);

    ensure!(counts == expected, "one thread counts other words");
    ensure!(
        total == words(text.as_bytes()).count() as u64,
        "{total} words"
    );
    // An empty text has no parts, so there is nothing to add up.
    ensure!(
        by_tasks(&rt, b"")? == (Counts::new(), 0),
        "words in nothing"
    );
    Ok(())
}
