//! One of the two outputs of a worker. Each line gets the function's name and the process id in
//! front.

use std::{
    collections::VecDeque,
    fmt,
    io::Write,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use mobula_protocol::{
    Registry,
    mailbox::{self, DriverPrinted, DriverState},
};
use parking_lot::Mutex;

use super::sink::ROOM;

/// The number of lines that are kept for the error of a worker's death.
const TAIL: usize = 20;

/// A line without an end is passed on in pieces of at least this many bytes. A hushed stream speaks
/// when it holds more bytes than this.
const LONGEST: usize = 64 << 10;

/// The maximum number of reads of one stream in a row, enough for the content of a pipe. A process
/// that never stops writing therefore does not delay the other streams.
const READS: usize = 64;

/// An output of a worker.
pub(in crate::engines::processes) struct Stream {
    which: mailbox::Stream,
    fd: OwnedFd,
    pid: u32,
    current: DriverState,
    printed: DriverPrinted,
    registry: &'static Registry,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The bytes after the end of the last line.
    partial: Vec<u8>,
    /// Whole lines with their prefix, for the sink.
    lines: Vec<u8>,
    tail: VecDeque<Line>,
    /// Whether lines only go to `held`.
    hushed: bool,
    held: Vec<u8>,
    /// Whether bytes were read that `handed_out` does not include.
    kept: bool,
    handed_out: VecDeque<HandedOut>,
    ended: bool,
}

impl State {
    fn speak(&mut self) {
        if std::mem::take(&mut self.hushed) {
            self.lines.append(&mut self.held);
            self.kept = true;
        }
    }

    fn is_passed_on(&self) -> bool {
        !self.kept && self.handed_out.is_empty()
    }
}

/// Lines that the sink has got.
#[derive(Debug)]
struct HandedOut {
    /// The number of bytes that the sink has written or given up when these lines are out.
    until: u64,
    /// The number of bytes that the worker has printed up to the end of these lines.
    printed: u64,
}

#[derive(Debug)]
struct Line {
    /// The worker's last run of a function when the line was read.
    run: u64,
    text: String,
}

/// The words in a worker's mailbox: about its current function, and about its printed output.
#[derive(Clone, Debug)]
pub(in crate::engines::processes) struct Words {
    pub(in crate::engines::processes) current: DriverState,
    pub(in crate::engines::processes) printed: DriverPrinted,
}

impl Stream {
    /// Makes a stream from the reading end of a pipe, which must not block. A `hushed` stream holds
    /// its lines until the worker [speaks](Stream::speak) or more than `LONGEST` bytes are held. It
    /// loses the held lines if the worker ends earlier. A worker that fails at its start like the
    /// workers before it therefore does not repeat their output.
    pub(in crate::engines::processes) fn new(
        which: mailbox::Stream,
        fd: OwnedFd,
        pid: u32,
        words: Words,
        registry: &'static Registry,
        hushed: bool,
    ) -> Arc<Stream> {
        Arc::new(Stream {
            which,
            fd,
            pid,
            current: words.current,
            printed: words.printed,
            registry,
            state: Mutex::new(State {
                hushed,
                ..State::default()
            }),
        })
    }

    /// Passes on the held lines and all later lines.
    pub(in crate::engines::processes) fn speak(&self) {
        self.state.lock().speak();
    }

    /// Reads the available bytes, but not much more than the sink takes.
    pub(super) fn read(&self) {
        let mut state = self.state.lock();
        self.read_some(&mut state, ROOM);
    }

    fn read_some(&self, state: &mut State, most: usize) {
        let mut buffer = [0; 16 << 10];
        for _ in 0..READS {
            if state.ended || state.lines.len() >= most {
                return;
            }
            let mut read = Ok(0);
            self.printed.take(self.which, || {
                read = rustix::io::read(&self.fd, &mut buffer);
                read.unwrap_or(0)
            });
            match read {
                Ok(0) => self.end(state),
                Ok(length) => {
                    state.kept = true;
                    self.take(state, &buffer[..length]);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return,
                Err(_) => self.end(state),
            }
        }
    }

    /// Reads the rest of a dead worker's output. Does not wait for output of a process that the
    /// worker left behind.
    pub(in crate::engines::processes) fn finish(&self) {
        let mut state = self.state.lock();
        self.read_some(&mut state, usize::MAX);
        self.end(&mut state);
    }

    fn take(&self, state: &mut State, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            state.partial.extend_from_slice(&bytes[..end]);
            self.emit(state);
            bytes = &bytes[end + 1..];
        }
        state.partial.extend_from_slice(bytes);
        if state.partial.len() >= LONGEST {
            self.emit(state);
        }
    }

    fn end(&self, state: &mut State) {
        if !state.partial.is_empty() {
            self.emit(state);
            state.kept = true;
        }
        state.ended = true;
    }

    /// Returns the function that the worker runs, or has run last.
    pub(in crate::engines::processes) fn function(&self) -> Option<&'static str> {
        let function = self.current.function()?;
        Some(self.registry.name(function))
    }

    fn emit(&self, state: &mut State) {
        let line = std::mem::take(&mut state.partial);
        let name = self.function().unwrap_or("worker");
        let lines = match state.hushed {
            true => &mut state.held,
            false => &mut state.lines,
        };
        let _ = write!(lines, "({name} pid={}) ", self.pid);
        lines.extend_from_slice(&line);
        lines.push(b'\n');
        if state.held.len() > LONGEST {
            state.speak();
        }
        if state.tail.len() == TAIL {
            state.tail.pop_front();
        }
        let mut text = String::from_utf8_lossy(&line).into_owned();
        truncate(&mut text, 1000);
        let run = self.current.run();
        state.tail.push_back(Line { run, text });
    }

    /// Returns the last lines of the run that the worker was in at its end, without prefix.
    pub(in crate::engines::processes) fn tail(&self) -> String {
        let run = self.current.run();
        let state = self.state.lock();
        let lines = state.tail.iter().filter(|line| line.run == run);
        lines
            .map(|line| line.text.as_str())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Hands out the lines that were read. `queue` gives them to the sink. It returns the number of
    /// bytes that the sink has written or given up when these lines are out.
    pub(super) fn hand_out(&self, queue: impl FnOnce(&[u8]) -> u64) {
        let mut state = self.state.lock();
        if state.kept {
            state.kept = false;
            let until = queue(&state.lines);
            let printed = self.printed.taken(self.which);
            state.handed_out.push_back(HandedOut { until, printed });
            // Long lists are rare, so their memory is not kept.
            state.lines = Vec::new();
        }
    }

    /// Tells the worker which of its bytes are out. `gone` is the number of bytes that the sink has
    /// written or given up. Returns whether there was anything to tell.
    pub(super) fn tell(&self, gone: u64) -> bool {
        let mut state = self.state.lock();
        let mut printed = None;
        while let Some(first) = state.handed_out.front()
            && first.until <= gone
        {
            printed = Some(first.printed);
            state.handed_out.pop_front();
        }
        if let Some(printed) = printed {
            self.printed.pass_on(self.which, printed);
        }
        printed.is_some()
    }

    /// Returns the number of bytes that the sink has not got.
    pub(super) fn left(&self) -> u64 {
        let unread = rustix::io::ioctl_fionread(&self.fd).unwrap_or(0);
        unread + self.state.lock().lines.len() as u64
    }

    /// Returns whether no bytes are on their way from this stream to its output. Held bytes do not
    /// count.
    pub(super) fn is_passed_on(&self) -> bool {
        self.state.lock().is_passed_on()
    }

    /// Returns the descriptor for reads, unless the stream has ended.
    pub(super) fn source(&self) -> Option<BorrowedFd<'_>> {
        (!self.state.lock().ended).then(|| self.fd.as_fd())
    }

    /// Returns whether the stream has ended and no bytes are on their way to its output.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state.lock();
        state.ended && state.is_passed_on()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("which", &self.which)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

fn truncate(text: &mut String, most: usize) {
    if text.len() > most {
        let mut end = most;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(" ..");
    }
}
