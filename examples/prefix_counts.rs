//! Counts the most frequent prefixes of words in a stream of documents, with stateful actors.
//!
//! The documents are the sources of this workspace, repeated several times. Tasks cut some
//! documents each into words. Several actors share the words by their hash, and each actor counts
//! all prefixes of its words. So the count of a prefix may be spread over several actors. The words
//! go from task to actor in shared memory, and not through the driver. The driver only passes refs
//! of results as arguments of calls. This process counts alone, too: the counts must be equal.
//!
//! ```text
//! stream --> cut --+--> counter 0 --+
//!        --> cut --+--> counter 1 --+--> the most frequent
//!        --> cut --+       ...    --+
//! ```
//!
//! `cargo run --release -p mobula-examples --example prefix_counts`

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap, VecDeque},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use mobula::{Array, prelude::*};
use mobula_examples::{
    compare::{Times, faster, shown},
    table,
};

/// The number of times that the stream repeats the documents.
const PASSES: usize = 5;
/// The number of times that both ways count, in turn. The times are medians.
const ROUNDS: usize = 5;
/// The least number of bytes that one task cuts.
const BUNDLE: usize = 64 << 10;
/// The number of cutting tasks that may be ahead of the actors, for each actor.
const AHEAD: usize = 4;
/// The number of wanted prefixes.
const WANTED: usize = 12;
/// The least number of characters of a wanted prefix.
const CHARACTERS: usize = 4;

/// A prefix, and the number of words that have it.
type Count = (String, u64);

/// An actor's counts of the prefixes of some words.
#[derive(Default)]
struct Counter {
    counts: HashMap<String, u64>,
}

impl Counter {
    fn count(&mut self, word: &str) {
        for (start, last) in word.char_indices() {
            let prefix = &word[..start + last.len_utf8()];
            match self.counts.get_mut(prefix) {
                Some(count) => *count += 1,
                None => drop(self.counts.insert(prefix.to_owned(), 1)),
            }
        }
    }
}

#[remote]
impl Counter {
    fn new() -> Self {
        Counter::default()
    }

    /// Counts the words of one part, one word per line. Ignores the parts of other actors in the
    /// same object.
    fn add(&mut self, parts: &[Array<u8>], own: usize) -> Result<()> {
        let words = str::from_utf8(&parts[own])?.split_terminator('\n');
        words.for_each(|word| self.count(word));
        Ok(())
    }

    /// Returns the most frequent prefixes, in order.
    fn most(&self, wanted: usize) -> Vec<Count> {
        let long = |(prefix, _): &(&String, _)| prefix.chars().nth(CHARACTERS - 1).is_some();
        let counts = self.counts.iter().filter(long);
        most(counts.map(|(prefix, n)| (prefix.clone(), *n)), wanted)
    }

    /// Returns all prefixes that at least this many words have.
    fn at_least(&self, words: u64) -> Vec<String> {
        let frequent = self.counts.iter().filter(|(_, n)| **n >= words);
        frequent.map(|(prefix, _)| prefix.clone()).collect()
    }

    /// Returns the numbers of words that have these prefixes, in their order.
    fn counts_of(&self, prefixes: &[String]) -> Vec<u64> {
        let count = |prefix| self.counts.get(prefix).copied().unwrap_or(0);
        prefixes.iter().map(count).collect()
    }

    fn all(&self) -> HashMap<String, u64> {
        self.counts.clone()
    }
}

/// Returns the largest counts, in order. Equal counts are in the order of their prefixes.
fn most(counts: impl Iterator<Item = Count>, wanted: usize) -> Vec<Count> {
    let mut counts: Vec<Count> = counts.collect();
    counts.sort_unstable_by(|a, b| (Reverse(a.1), &a.0).cmp(&(Reverse(b.1), &b.0)));
    counts.truncate(wanted);
    counts
}

/// Cuts documents into the words of each actor.
#[remote]
fn cut(documents: &str, actors: usize) -> Vec<Array<u8>> {
    let mut parts = vec![Vec::with_capacity(documents.len() / actors); actors];
    for word in words(documents) {
        let part = &mut parts[responsible(word, actors)];
        part.extend_from_slice(word.as_bytes());
        part.push(b'\n');
    }
    parts.into_iter().map(Array::from).collect()
}

/// Counts the stream with actors. This is the whole code for it.
fn count(rt: &Runtime, documents: &[String], counters: &[ActorRef<Counter>]) -> mobula::Result<()> {
    let mut under_way = VecDeque::new();
    for bundle in bundles(documents) {
        let parts = cut::remote(bundle, counters.len()).spawn();
        // The parts are pending. The calls wait for them, and the driver does not.
        let calls = counters.iter().enumerate();
        under_way.extend(rt.spawn_all(calls.map(|(own, counter)| counter.add(&parts, own))));
        while under_way.len() > AHEAD * counters.len() * counters.len() {
            under_way.pop_front().map_or(Ok(()), |call| call.get())?;
        }
    }
    under_way.iter().try_for_each(|call| call.get())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
}

/// Returns the actor of a word, by a hash (FNV-1a) that is equal in all processes.
fn responsible(word: &str, actors: usize) -> usize {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    let hash = word.bytes().fold(0xCBF2_9CE4_8422_2325, mix);
    ((hash >> 32) % actors as u64) as usize
}

/// Returns the most frequent prefixes of all actors together. The actors send few of their counts.
/// At least one actor has 1/n of the total of a wanted prefix, for n actors.
fn most_of_all(rt: &Runtime, counters: &[ActorRef<Counter>]) -> mobula::Result<Vec<Count>> {
    let mut sums: HashMap<String, u64> = HashMap::new();
    let tops = rt.get(rt.spawn_all(counters.iter().map(|counter| counter.most(WANTED))))?;
    for (prefix, count) in tops.into_iter().flatten() {
        *sums.entry(prefix).or_default() += count;
    }
    // These sums are at most the totals. So this sum is at most the total of the last wanted
    // prefix.
    let last = most(sums.into_iter(), WANTED)
        .last()
        .map_or(1, |last| last.1);
    let share = last.div_ceil(counters.len() as u64);
    let frequent = rt.get(rt.spawn_all(counters.iter().map(|counter| counter.at_least(share))))?;
    let candidates: BTreeSet<String> = frequent.into_iter().flatten().collect();
    let long = |prefix: &String| prefix.chars().count() >= CHARACTERS;
    let candidates: Vec<String> = candidates.into_iter().filter(long).collect();
    let asked = rt.put(&candidates)?;
    let counts = rt.get(rt.spawn_all(counters.iter().map(|counter| counter.counts_of(&asked))))?;
    let total = |n: usize| counts.iter().map(|counts| counts[n]).sum();
    let totals = candidates.into_iter().enumerate();
    Ok(most(totals.map(|(n, prefix)| (prefix, total(n))), WANTED))
}

/// Returns the texts of this workspace, in the order of their paths.
fn documents() -> Result<Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders = vec![root];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder);
        for entry in entries.with_context(|| format!("cannot list {}", folder.display()))? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            let ours = !name.to_string_lossy().starts_with('.') && name != "target";
            match entry.file_type()? {
                kind if kind.is_dir() && ours => folders.push(path),
                kind if kind.is_file() => files.push(path),
                _ => {}
            }
        }
    }
    let is_text = |path: &PathBuf| path.extension().is_some_and(|e| e == "rs" || e == "md");
    files.retain(is_text);
    files.sort();
    let read =
        |path: PathBuf| fs::read_to_string(&path).with_context(|| path.display().to_string());
    files.into_iter().map(read).collect()
}

/// Returns the documents of the stream, one after the other.
fn stream(documents: &[String]) -> impl Iterator<Item = &str> {
    let passes = std::iter::repeat_n(documents, PASSES);
    passes.flatten().map(String::as_str)
}

/// Returns the documents of the stream in bundles.
fn bundles(documents: &[String]) -> impl Iterator<Item = String> {
    let mut stream = stream(documents).peekable();
    std::iter::from_fn(move || {
        stream.peek()?;
        let mut bundle = String::with_capacity(2 * BUNDLE);
        while bundle.len() < BUNDLE
            && let Some(document) = stream.next()
        {
            bundle.push_str(document);
            bundle.push('\n');
        }
        Some(bundle)
    })
}

/// Counts in this process alone.
fn alone(documents: &[String]) -> (Counter, Vec<Count>) {
    let mut counter = Counter::new();
    for document in stream(documents) {
        words(document).for_each(|word| counter.count(word));
    }
    let top = counter.most(WANTED);
    (counter, top)
}

/// Counts with this many new actors.
fn by_actors(
    rt: &Runtime,
    documents: &[String],
    actors: usize,
) -> mobula::Result<(Vec<ActorRef<Counter>>, Vec<Count>)> {
    let new = |_| rt.spawn_actor(Counter::remote());
    let counters: Vec<ActorRef<Counter>> = (0..actors).map(new).collect();
    count(rt, documents, &counters)?;
    let top = most_of_all(rt, &counters)?;
    Ok((counters, top))
}

#[mobula::main]
fn main() -> Result<()> {
    let documents = documents()?;
    let total: usize = stream(&documents)
        .map(|document| words(document).count())
        .sum();
    let rt = Runtime::start()?;
    let actors = rt.workers();

    let (mut sequential, mut parallel) = (Times::default(), Times::default());
    let mut most_frequent = Vec::new();
    for _ in 0..ROUNDS {
        let (expected, top) = sequential.time(|| alone(&documents));
        let (counters, found) = parallel.time(|| by_actors(&rt, &documents, actors))?;
        ensure!(found == top, "the actors found others: {found:?}");
        let mut sums: HashMap<String, u64> = HashMap::new();
        for counts in rt.get(rt.spawn_all(counters.iter().map(|counter| counter.all())))? {
            for (prefix, count) in counts {
                *sums.entry(prefix).or_default() += count;
            }
        }
        ensure!(
            sums == expected.counts,
            "actors and this process count otherwise"
        );
        most_frequent = top;
    }

    table::print(
        ["prefix", "words that begin so"],
        most_frequent
            .into_iter()
            .map(|(prefix, n)| [prefix, n.to_string()]),
    );
    println!();
    let row = |who: String, times: &Times| {
        [
            who,
            shown(times.median()),
            format!("{:.2} M/s", total as f64 / 1e6 / times.median()),
            faster(sequential.median(), times.median()),
        ]
    };
    table::print(
        ["", "time", "words", "ratio"],
        [
            row("sequentially, in this process".into(), &sequential),
            row(
                format!("{actors} workers that cut, {actors} actors"),
                &parallel,
            ),
        ],
    );
    println!("\nAll prefixes of {total} words are counted alike, {ROUNDS} times.");
    Ok(())
}
