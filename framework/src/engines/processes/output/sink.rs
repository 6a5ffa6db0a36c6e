//! One of the driver's own outputs, for the output thread.
//!
//! The thread writes to the descriptor and not through `std`'s handle. A thread that holds that
//! handle's lock may wait for a task whose output has to be out first. The output thread writes
//! only as much as the descriptor takes at once, as far as this can be known. A slow reader of one
//! output therefore does not delay the other output. A descriptor that does not block loses
//! nothing.

use std::os::fd::BorrowedFd;

use mobula_protocol::mailbox;
use parking_lot::Mutex;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

/// Streams of a sink are not read while this many bytes, or more, wait in the sink.
pub(super) const ROOM: usize = 64 << 10;

/// The maximum number of bytes of one write (`PIPE_BUF`). A pipe that polls as writable takes them
/// whole.
const PIECE: usize = 4096;

/// One output of the driver, with the bytes that wait for it.
#[derive(Debug)]
pub(super) struct Sink {
    which: mailbox::Stream,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// The number of bytes at the front of `bytes` that are already written or given up.
    start: usize,
    /// `came` is the number of all bytes so far. `gone` is the number of written or given up bytes.
    came: u64,
    gone: u64,
}

impl Sink {
    pub(super) fn new(which: mailbox::Stream) -> Sink {
        Sink {
            which,
            state: Mutex::default(),
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'static> {
        match self.which {
            mailbox::Stream::Stdout => rustix::stdio::stdout(),
            mailbox::Stream::Stderr => rustix::stdio::stderr(),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self.which {
            mailbox::Stream::Stdout => "standard output",
            mailbox::Stream::Stderr => "standard error",
        }
    }

    /// Appends bytes. Returns the value of [`gone`](Self::gone) once these bytes are gone.
    pub(super) fn push(&self, bytes: &[u8]) -> u64 {
        let mut state = self.state.lock();
        state.bytes.extend_from_slice(bytes);
        state.came += bytes.len() as u64;
        state.came
    }

    pub(super) fn has_room(&self) -> bool {
        let state = self.state.lock();
        state.bytes.len() - state.start < ROOM
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state.lock().bytes.is_empty()
    }

    /// Returns how many bytes are gone.
    pub(super) fn gone(&self) -> u64 {
        self.state.lock().gone
    }

    /// Returns how many bytes wait.
    pub(super) fn waiting(&self) -> u64 {
        let state = self.state.lock();
        state.came - state.gone
    }

    /// Writes a piece to a descriptor that has polled as writable. Holds no lock, because the write
    /// may block nevertheless.
    pub(super) fn write(&self) {
        let mut piece = [0; PIECE];
        let length = {
            let state = self.state.lock();
            let next = next_piece(&state.bytes[state.start..]);
            piece[..next.len()].copy_from_slice(next);
            next.len()
        };
        match rustix::io::write(self.fd(), &piece[..length]) {
            Ok(written) => self.went(written),
            Err(Errno::AGAIN | Errno::INTR) => {}
            // A failure of the driver's own output is not reported.
            Err(_) => self.went(usize::MAX),
        }
    }

    fn went(&self, bytes: usize) {
        let mut state = self.state.lock();
        let bytes = bytes.min(state.bytes.len() - state.start);
        state.start += bytes;
        state.gone += bytes as u64;
        if state.start == state.bytes.len() {
            state.bytes.clear();
            state.bytes.shrink_to(ROOM);
            state.start = 0;
        } else if state.start >= ROOM {
            let start = std::mem::take(&mut state.start);
            state.bytes.drain(..start);
        }
    }
}

/// Returns all whole lines that fit into [`PIECE`] bytes, or the next part of a longer line.
fn next_piece(bytes: &[u8]) -> &[u8] {
    let most = &bytes[..bytes.len().min(PIECE)];
    match most.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => &most[..=end],
        None => most,
    }
}

/// Writes a message of the driver's own if standard error takes it at once.
pub(super) fn say(text: &str) {
    let stderr = rustix::stdio::stderr();
    let mut fds = [PollFd::from_borrowed_fd(stderr, PollFlags::OUT)];
    let ready = poll(&mut fds, Some(&Timespec::default()));
    if ready.is_ok() && fds[0].revents().contains(PollFlags::OUT) {
        let _ = rustix::io::write(stderr, text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_with_lines_where_they_can() {
        assert_eq!(next_piece(b"one\ntwo\nthr"), b"one\ntwo\n");
        assert_eq!(next_piece(b"no end"), b"no end");
        let long = [b'x'; PIECE + 10];
        assert_eq!(next_piece(&long).len(), PIECE);
        let mut lines = vec![b'x'; PIECE - 5];
        lines.extend_from_slice(b"\n123456789\n");
        assert_eq!(next_piece(&lines).len(), PIECE - 4);
    }

    #[test]
    fn what_is_gone_is_counted() {
        let sink = Sink::new(mailbox::Stream::Stdout);
        assert_eq!(sink.push(b"abc\n"), 4);
        assert_eq!(sink.push(b"de\n"), 7);
        sink.went(4);
        assert_eq!(
            (sink.gone(), sink.waiting(), sink.is_empty()),
            (4, 3, false)
        );
        sink.went(usize::MAX);
        assert_eq!((sink.gone(), sink.waiting(), sink.is_empty()), (7, 0, true));
    }
}
