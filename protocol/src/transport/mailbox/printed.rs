//! The words for the progress of the driver with a worker's output.
//!
//! Only the driver writes them. For each of the two outputs they have two counts. One is of the
//! bytes that the driver has taken out of the pipe. The other is of those among them that it has
//! passed on. A sequence number is odd while the driver takes bytes. So the worker sees a count
//! that belongs to the present content of the pipe.

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

/// The number of words.
pub(super) const PRINTED_WORDS: usize = 5;

/// The place of the words.
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

/// The driver's side. One thread at a time uses it.
#[derive(Clone, Debug)]
pub struct DriverPrinted(pub(super) Printed);

impl DriverPrinted {
    /// Takes bytes out of a pipe with `read`, which returns their number. From then on they count
    /// as not passed on.
    pub fn take(&self, stream: Stream, read: impl FnOnce() -> usize) -> usize {
        self.0.add(SEQUENCE, 1);
        // The worker must not see an emptier pipe together with the old count.
        Region::fence();
        let length = read();
        self.0.add(taken(stream), length as u64);
        self.0.add(SEQUENCE, 1);
        length
    }

    /// Returns the number of bytes that were taken from this output so far.
    pub fn taken(&self, stream: Stream) -> u64 {
        self.0.load(taken(stream))
    }

    /// Records that `bytes` bytes of this output were passed on so far.
    pub fn pass_on(&self, stream: Stream, bytes: u64) {
        self.0.store(passed_on(stream), bytes);
    }
}

/// The worker's side.
#[derive(Clone, Debug)]
pub struct WorkerPrinted(pub(super) Printed);

impl WorkerPrinted {
    /// Returns whether the driver has passed on all bytes that it has taken so far, and takes none
    /// now.
    pub fn is_settled(&self) -> bool {
        Region::fence();
        let words = &self.0;
        words.load(SEQUENCE).is_multiple_of(2)
            && [Stream::Stdout, Stream::Stderr]
                .iter()
                .all(|stream| words.load(passed_on(*stream)) == words.load(taken(*stream)))
    }

    /// Returns the count of passed-on bytes of an output that the driver reaches with the present
    /// content of the pipe. `left` returns the length of that content. Returns `None` while the
    /// driver takes bytes. Then the caller must try again.
    pub fn target(&self, stream: Stream, left: impl FnOnce() -> u64) -> Option<u64> {
        let before = self.0.load(SEQUENCE);
        let taken_before = self.0.load(taken(stream));
        Region::fence();
        let left = left();
        Region::fence();
        let same = before.is_multiple_of(2) && self.0.load(SEQUENCE) == before;
        same.then(|| taken_before.wrapping_add(left))
    }

    /// Returns whether the count of passed-on bytes of an output has reached `target`.
    pub fn reached(&self, stream: Stream, target: u64) -> bool {
        // Both counts only grow. The difference is right even if a count wraps.
        self.0.load(passed_on(stream)).wrapping_sub(target) < u64::MAX / 2
    }
}
