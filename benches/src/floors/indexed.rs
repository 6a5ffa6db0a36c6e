//! A textbook ring between two processes. It has one writer, one reader, and an index of each on a
//! cache line of its own. It does not follow changes of Mobula's own rings, so measurements beside
//! it stay comparable over years.

use std::{
    io,
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use mobula_store::SharedWords;

/// The number of words of data.
const CAPACITY: usize = 1024;

/// The number of words from one index to the next, and to the data. These are two cache lines,
/// since processors fetch pairs of lines.
const APART: usize = 16;

/// The number of words that a ring takes.
pub(super) const WORDS: usize = 2 * APART + CAPACITY;

/// One end of a ring.
pub(super) struct End {
    words: Arc<SharedWords>,
    /// The first word of the ring.
    base: usize,
    /// The number of words that this end has written or read.
    own: u64,
    /// The other end's index at the last read by this end.
    other: u64,
}

impl End {
    pub(super) fn new(words: Arc<SharedWords>, base: usize) -> End {
        let (own, other) = (0, 0);
        End {
            words,
            base,
            own,
            other,
        }
    }

    fn written(&self) -> &AtomicU64 {
        &self.words.words()[self.base]
    }

    fn read(&self) -> &AtomicU64 {
        &self.words.words()[self.base + APART]
    }

    fn word(&self, index: u64) -> &AtomicU64 {
        &self.words.words()[self.base + 2 * APART + index as usize % CAPACITY]
    }

    /// Writes a message: its length and its bytes.
    pub(super) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let needed = 1 + message.len().div_ceil(8) as u64;
        if self.own + needed > self.other + CAPACITY as u64 {
            self.other = self.read().load(Acquire);
        }
        if self.own + needed > self.other + CAPACITY as u64 {
            return Err(io::Error::other("one message does not fit into a ring"));
        }
        self.word(self.own).store(message.len() as u64, Relaxed);
        for (i, chunk) in message.chunks(8).enumerate() {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            let word = u64::from_le_bytes(bytes);
            self.word(self.own + 1 + i as u64).store(word, Relaxed);
        }
        self.own += needed;
        self.written().store(self.own, Release);
        Ok(())
    }

    /// Reads a message into `message`. Returns `false` if there is none.
    pub(super) fn receive(&mut self, message: &mut Vec<u8>) -> bool {
        if self.own == self.other {
            self.other = self.written().load(Acquire);
        }
        if self.own == self.other {
            return false;
        }
        let len = self.word(self.own).load(Relaxed) as usize;
        let words = len.div_ceil(8) as u64;
        message.clear();
        for i in 0..words {
            let word = self.word(self.own + 1 + i).load(Relaxed);
            message.extend_from_slice(&word.to_le_bytes());
        }
        message.truncate(len);
        self.own += 1 + words;
        self.read().store(self.own, Release);
        true
    }
}

#[cfg(test)]
mod tests {
    use mobula_store::{Backing, SegmentFile};

    use super::*;

    #[test]
    fn messages_of_all_lengths_come_through_round_and_round() {
        let file = SegmentFile::create(16 << 10, 16 << 10, Backing::Auto).unwrap();
        let words = SharedWords::map(&file).unwrap();
        let (mut out, mut input) = (End::new(words.clone(), 5), End::new(words, 5));
        let mut got = Vec::new();
        assert!(!input.receive(&mut got));
        for len in (0..200).chain(0..200) {
            let sent: Vec<u8> = (0..len).map(|i| i as u8 ^ 7).collect();
            out.send(&sent).unwrap();
            assert!(input.receive(&mut got));
            assert_eq!(got, sent);
            assert!(!input.receive(&mut got));
        }
        let half = [1; CAPACITY * 4];
        out.send(&half).unwrap();
        assert!(out.send(&half).is_err(), "it is full");
        assert!(input.receive(&mut got));
        out.send(&half).unwrap();
    }
}
