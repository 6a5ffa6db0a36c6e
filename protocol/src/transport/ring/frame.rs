//! The content of a ring: frames. A frame is a header word, and a payload padded to whole words.

use std::sync::atomic::Ordering::Relaxed;

use super::RingError;
use crate::primitive::Word;

/// The upper half of each header is this number combined with the header's index. So a reader at
/// once notices a wrong place, foreign bytes, or a frame of an earlier lap.
const MARK: u32 = 0x6d6f_6275;
const FIRST: u64 = 1 << 31;
const LAST: u64 = 1 << 30;
const LEN: u64 = LAST - 1;

/// The word at the place of the next header, until its frame is published. No header is zero: it
/// has a flag or a length.
pub(super) const NONE: u64 = 0;

/// The alignment of frames, in words: 64 bytes, so a short frame takes one cache line.
pub(super) const ALIGN: usize = 8;

fn mark(at: u64) -> u64 {
    u64::from(at as u32 ^ MARK) << 32
}

/// A header that has a valid form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Whether the frame begins a message.
    pub(super) first: bool,
    /// Whether the frame ends a message.
    pub(super) last: bool,
    /// The length of the payload in bytes.
    pub(super) len: usize,
}

impl Header {
    /// Returns the header's word at index `at`.
    pub(super) fn encode(self, at: u64) -> u64 {
        let flag = |set: bool, bit: u64| if set { bit } else { 0 };
        debug_assert!(self.len as u64 <= LEN);
        mark(at) | flag(self.first, FIRST) | flag(self.last, LAST) | self.len as u64
    }

    /// Reads a header that was at word `at`, in a ring of `capacity` words.
    pub(super) fn decode(word: u64, capacity: usize, at: u64) -> Result<Header, RingError> {
        let corrupt = |what| RingError::Corrupt {
            what,
            found: word,
            at,
        };
        if word & !(FIRST | LAST | LEN) != mark(at) {
            return Err(corrupt("this is no header of a frame that begins here"));
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

    /// Whether the frame is a message of one line.
    #[inline]
    pub(super) fn is_short(self) -> bool {
        self.first && self.last && self.len <= NEAR
    }

    /// Returns the number of words of the header, the payload, and the padding up to the next
    /// frame.
    #[inline]
    pub(super) fn words(self) -> usize {
        (1 + self.len.div_ceil(8)).next_multiple_of(ALIGN)
    }
}

/// Returns the longest payload of one frame in a ring of `capacity` words, in bytes. A frame takes
/// at most a quarter of the ring. So a consumer that gives back half a ring always gives back
/// enough.
pub(super) fn max_payload(capacity: usize) -> usize {
    (capacity / 4 - 1) * 8
}

/// The length of a line in bytes.
const BYTES: usize = ALIGN * 8;

/// The room for payload in the first line of a frame, in bytes.
pub(super) const NEAR: usize = BYTES - 8;

/// Returns the line that begins at index `at`.
#[inline]
pub(super) fn line<W>(data: &[W], at: u64) -> &[W; ALIGN] {
    let (lines, _) = data.as_chunks::<ALIGN>();
    &lines[(at as usize / ALIGN) & (lines.len() - 1)]
}

/// Calls `to` with each word of `bytes`, in order. Zeros fill up the last word.
///
/// No word is put together in memory. A load of a word that was just stored in smaller pieces would
/// wait for these stores.
#[inline]
pub(super) fn each_word(bytes: &[u8], mut to: impl FnMut(usize, u64)) {
    let (whole, rest) = bytes.as_chunks::<8>();
    for (n, bytes) in whole.iter().enumerate() {
        to(n, u64::from_le_bytes(*bytes));
    }
    if !rest.is_empty() {
        let word = match bytes.last_chunk::<8>() {
            Some(last) => u64::from_le_bytes(*last) >> (8 * (8 - rest.len())),
            None => rest
                .iter()
                .rfold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        to(whole.len(), word);
    }
}

/// Writes the payload beyond the first line of the frame at index `at`. The words must belong to
/// the producer.
pub(super) fn write_far<W: Word>(data: &[W], at: u64, far: &[u8]) {
    let start = at as usize + ALIGN;
    each_word(far, |n, word| {
        data[(start + n) & (data.len() - 1)].store(word, Relaxed);
    });
}

/// Replaces the content of `out` by the payload of the [short](Header::is_short) frame at index
/// `at`. Each word is loaded once, and no content of it is trusted.
#[inline]
pub(super) fn read_short<W: Word>(data: &[W], at: u64, header: Header, out: &mut Vec<u8>) {
    out.clear();
    append_near(data, at, out);
    out.truncate(header.len);
}

/// Appends the payload of the frame at index `at` to `out`. Each word is loaded once, and no
/// content of it is trusted. The words must belong to the consumer.
#[inline]
pub(super) fn read<W: Word>(data: &[W], at: u64, header: Header, out: &mut Vec<u8>) {
    let end = out.len() + header.len;
    // These are whole lines. The last one may have padding.
    append_near(data, at, out);
    if header.len > NEAR {
        out.reserve(header.len);
        let lines = (at..).step_by(ALIGN).skip(1);
        for at in lines.take((header.len - NEAR).div_ceil(BYTES)) {
            out.extend_from_slice(&[0; BYTES]);
            if let Some(bytes) = out.last_chunk_mut::<BYTES>() {
                load(line(data, at), bytes);
            }
        }
    }
    out.truncate(end);
}

/// Appends the payload in the first line of the frame at index `at`, with its padding.
#[inline]
fn append_near<W: Word>(data: &[W], at: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; NEAR]);
    if let Some(near) = out.last_chunk_mut::<NEAR>() {
        let (_, words) = line(data, at).split_at(1);
        load(words, near);
    }
}

#[inline]
fn load<W: Word>(words: &[W], bytes: &mut [u8]) {
    for (word, bytes) in words.iter().zip(bytes.as_chunks_mut().0) {
        *bytes = word.load(Relaxed).to_le_bytes();
    }
}
