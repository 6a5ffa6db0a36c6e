//! The words for the text of a worker's panic, in case the worker does not survive.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::primitive::{Memory, Region};

/// The largest length of the text, in bytes.
const BYTES: usize = 2048;

/// The number of words: one for the text's length, and the text.
pub(super) const PANICKED_WORDS: usize = 1 + BYTES / 8;

/// The place of the words.
#[derive(Clone, Debug)]
pub(super) struct Panicked {
    memory: Region,
    at: usize,
}

impl Panicked {
    pub(super) fn new(memory: Region, at: usize) -> Panicked {
        Panicked { memory, at }
    }

    fn words(&self) -> &[<Region as Memory>::Word] {
        &self.memory.words()[self.at..self.at + PANICKED_WORDS]
    }

    fn len(&self) -> usize {
        let len = self.words()[0].load(Acquire);
        usize::try_from(len).map_or(BYTES, |len| len.min(BYTES))
    }
}

/// The worker's side. One thread at a time uses it.
#[derive(Clone, Debug)]
pub struct WorkerPanicked(pub(super) Panicked);

impl WorkerPanicked {
    /// Appends a text, up to the room that is left. Takes no lock and makes no system call, since a
    /// panic can happen anywhere.
    pub fn add(&self, text: &str) {
        let (len, words) = (self.0.len(), self.0.words());
        let fitting = &text.as_bytes()[..text.len().min(BYTES - len)];
        for (at, byte) in (len..).zip(fitting) {
            let (word, shift) = (&words[1 + at / 8], at % 8 * 8);
            let others = word.load(Relaxed) & !(0xff << shift);
            word.store(others | u64::from(*byte) << shift, Relaxed);
        }
        words[0].store((len + fitting.len()) as u64, Release);
    }

    /// Removes the text, since the worker goes on. Costs a store.
    pub fn clear(&self) {
        self.0.words()[0].store(0, Release);
    }

    /// Returns whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.len() == 0
    }
}

/// The driver's side. The driver reads it when the worker is dead.
#[derive(Clone, Debug)]
pub struct DriverPanicked(pub(super) Panicked);

impl DriverPanicked {
    /// Returns the text in one line, if there is one. Any content of the memory becomes text.
    pub fn text(&self) -> Option<String> {
        let words = self.0.words();
        let bytes: Vec<u8> = (0..self.0.len())
            .map(|at| (words[1 + at / 8].load(Relaxed) >> (at % 8 * 8)) as u8)
            .collect();
        let text = crate::error::one_line(&String::from_utf8_lossy(&bytes));
        (!text.is_empty()).then_some(text)
    }
}
