//! What lies in a ring: frames, each a header word and payload padded to whole words.

use std::sync::atomic::Ordering::Relaxed;

use super::RingError;
use crate::primitive::Word;

/// A mark in the upper half of each header, so that a reader that has lost its place, or finds
/// foreign bytes, is likely to notice at once.
const MARK: u64 = 0x6d6f_6275 << 32;
const FIRST: u64 = 1 << 31;
const LAST: u64 = 1 << 30;
const LEN: u64 = LAST - 1;

/// A header that has the right form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The frame begins a message.
    pub(super) first: bool,
    /// The frame ends a message.
    pub(super) last: bool,
    /// Bytes of payload.
    pub(super) len: usize,
}

impl Header {
    pub(super) fn encode(self) -> u64 {
        let flag = |set: bool, bit: u64| if set { bit } else { 0 };
        debug_assert!(self.len as u64 <= LEN);
        MARK | flag(self.first, FIRST) | flag(self.last, LAST) | self.len as u64
    }

    /// Reads a header that was at word `at`, in a ring of `capacity` words.
    pub(super) fn decode(word: u64, capacity: usize, at: u64) -> Result<Header, RingError> {
        let corrupt = |what| RingError::Corrupt {
            what,
            found: word,
            at,
        };
        if word & !(FIRST | LAST | LEN) != MARK {
            return Err(corrupt("this is no frame header"));
        }
        let header = Header {
            first: word & FIRST != 0,
            last: word & LAST != 0,
            len: (word & LEN) as usize,
        };
        if header.len > max_payload(capacity) {
            return Err(corrupt("the frame is longer than a frame can be"));
        }
        if header.len == 0 && !(header.first && header.last) {
            return Err(corrupt("the frame is empty, but not an empty message"));
        }
        Ok(header)
    }

    /// Words of header and payload.
    pub(super) fn words(self) -> usize {
        1 + self.len.div_ceil(8)
    }
}

/// The longest payload of one frame in a ring of `capacity` words, in bytes. A frame takes at most a
/// quarter of the ring, so that a consumer that gives back half a ring always gives back enough.
pub(super) fn max_payload(capacity: usize) -> usize {
    (capacity / 4 - 1) * 8
}

/// Writes a frame at index `at`, around the end of the ring where necessary. The words must be the
/// producer's.
pub(super) fn write<W: Word>(data: &[W], at: u64, header: Header, payload: &[u8]) {
    let mask = data.len() - 1;
    let start = at as usize & mask;
    data[start].store(header.encode(), Relaxed);

    let start = (start + 1) & mask;
    let (whole, rest) = payload.as_chunks::<8>();
    let (before, after) = whole.split_at(whole.len().min(data.len() - start));
    for (word, bytes) in data[start..].iter().zip(before) {
        word.store(u64::from_ne_bytes(*bytes), Relaxed);
    }
    for (word, bytes) in data.iter().zip(after) {
        word.store(u64::from_ne_bytes(*bytes), Relaxed);
    }
    if !rest.is_empty() {
        let mut bytes = [0; 8];
        bytes[..rest.len()].copy_from_slice(rest);
        data[(start + whole.len()) & mask].store(u64::from_ne_bytes(bytes), Relaxed);
    }
}

/// Appends the payload of the frame at index `at` to `out`. Each word is loaded once; nothing is
/// believed of what it contains. The words must be the consumer's.
pub(super) fn read<W: Word>(data: &[W], at: u64, header: Header, out: &mut Vec<u8>) {
    let mask = data.len() - 1;
    let start = (at as usize + 1) & mask;
    let old = out.len();
    out.resize(old + (header.words() - 1) * 8, 0);
    let (chunks, _) = out[old..].as_chunks_mut::<8>();
    let (before, after) = {
        let split = chunks.len().min(data.len() - start);
        chunks.split_at_mut(split)
    };
    for (word, bytes) in data[start..].iter().zip(before) {
        *bytes = word.load(Relaxed).to_ne_bytes();
    }
    for (word, bytes) in data.iter().zip(after) {
        *bytes = word.load(Relaxed).to_ne_bytes();
    }
    out.truncate(old + header.len);
}
