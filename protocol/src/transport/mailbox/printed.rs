//! The words that say how far the driver is with what a worker has printed.
//!
//! The driver alone writes them: for each of the two outputs how many bytes it has taken out of the
//! pipe, and how many of these it has passed on. A sequence number is odd while it takes some, so
//! that the worker sees a count that belongs to what is left in the pipe.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::primitive::{Memory, Region};

/// One of the two outputs of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How many words there are.
pub(super) const PRINTED_WORDS: usize = 5;

/// Where the words lie.
#[derive(Clone, Debug)]
pub(super) struct Printed {
    memory: Region,
    at: usize,
}

impl Printed {
    pub(super) fn new(memory: Region, at: usize) -> Printed {
        Printed { memory, at }
    }

    fn load(&self, word: usize) -> u64 {
        self.memory.words()[self.at + word].load(Acquire)
    }

    fn store(&self, word: usize, value: u64) {
        self.memory.words()[self.at + word].store(value, Release);
    }

    fn add(&self, word: usize, more: u64) {
        let before = self.memory.words()[self.at + word].load(Relaxed);
        self.store(word, before.wrapping_add(more));
    }
}

const SEQUENCE: usize = 0;

fn taken(stream: Stream) -> usize {
    1 + stream as usize
}

fn passed_on(stream: Stream) -> usize {
    3 + stream as usize
}

/// What the driver says. One thread at a time uses it.
#[derive(Clone, Debug)]
pub struct DriverPrinted(pub(super) Printed);

impl DriverPrinted {
    /// Takes bytes out of a pipe with `read`, which says how many. What it has taken counts as not
    /// passed on from then on.
    pub fn take(&self, stream: Stream, read: impl FnOnce() -> usize) -> usize {
        self.0.add(SEQUENCE, 1);
        // The worker must not see an emptier pipe beside the count from before.
        Region::fence();
        let length = read();
        self.0.add(taken(stream), length as u64);
        self.0.add(SEQUENCE, 1);
        length
    }

    /// How many bytes were taken from this output so far.
    pub fn taken(&self, stream: Stream) -> u64 {
        self.0.load(taken(stream))
    }

    /// So many of them are where they belong.
    pub fn pass_on(&self, stream: Stream, bytes: u64) {
        self.0.store(passed_on(stream), bytes);
    }
}

/// What the worker reads.
#[derive(Clone, Debug)]
pub struct WorkerPrinted(pub(super) Printed);

impl WorkerPrinted {
    /// Whether the driver has passed on all that it has taken so far, and takes nothing now.
    pub fn is_settled(&self) -> bool {
        Region::fence();
        let words = &self.0;
        words.load(SEQUENCE).is_multiple_of(2)
            && [Stream::Stdout, Stream::Stderr]
                .iter()
                .all(|stream| words.load(passed_on(*stream)) == words.load(taken(*stream)))
    }

    /// How many bytes of an output the driver will have passed on when it is done with all that is
    /// in the pipe now, of which `left` says how much. `None` while the driver takes some: ask
    /// again.
    pub fn target(&self, stream: Stream, left: impl FnOnce() -> u64) -> Option<u64> {
        let before = self.0.load(SEQUENCE);
        let taken_before = self.0.load(taken(stream));
        Region::fence();
        let left = left();
        Region::fence();
        let same = before.is_multiple_of(2) && self.0.load(SEQUENCE) == before;
        same.then(|| taken_before.wrapping_add(left))
    }

    /// Whether the driver has passed on so many bytes of an output.
    pub fn reached(&self, stream: Stream, target: u64) -> bool {
        // Both are counts that only grow; the difference bears a count that wraps.
        self.0.load(passed_on(stream)).wrapping_sub(target) < u64::MAX / 2
    }
}
