//! One of the two outputs of a worker: lines with the function's name and the process' id in front.

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

/// Lines that are kept for the error of a worker's death.
const TAIL: usize = 20;

/// A line that does not end is passed on in pieces of this length.
const LONGEST: usize = 64 << 10;

/// Reads of one stream in a row: enough for what a pipe can hold, so that a process which never
/// stops writing does not hold up the others.
const READS: usize = 64;

/// See the module's text.
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
    /// The bytes after the last line's end.
    partial: Vec<u8>,
    /// Whole lines with their prefix, to be printed.
    lines: Vec<u8>,
    tail: VecDeque<Line>,
    /// Lines go to `held`, and not further.
    hushed: bool,
    held: Vec<u8>,
    /// Bytes were read that are not among those of `handed_out`.
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

/// Lines that a sink has.
#[derive(Debug)]
struct HandedOut {
    /// How many bytes the sink will have got rid of when it is done with them.
    until: u64,
    /// How many bytes the worker has printed up to them.
    printed: u64,
}

#[derive(Debug)]
struct Line {
    /// The run of a function that was the worker's last one when the line was read.
    run: u64,
    text: String,
}

/// What a worker says about itself in its mailbox, and what it is told there.
#[derive(Clone, Debug)]
pub(in crate::engines::processes) struct Words {
    pub(in crate::engines::processes) current: DriverState,
    pub(in crate::engines::processes) printed: DriverPrinted,
}

impl Stream {
    /// The reading end of a pipe, which must not block. If it is `hushed`, lines are kept until the
    /// worker [speaks](Stream::speak), and lost if it ends before. So a worker that fails at its
    /// start as those before it does not repeat what they have said.
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

    /// Passes on what was kept, and from now on what comes.
    pub(in crate::engines::processes) fn speak(&self) {
        self.state.lock().speak();
    }

    /// Reads what is there, but not much more than a sink takes.
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

    /// The worker is dead: what it wrote is read, and what a process that it left behind may still
    /// write is not waited for.
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

    /// The function that the worker runs, or has run last.
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

    /// The last lines of the run that the worker was in at its end, without prefix.
    pub(in crate::engines::processes) fn tail(&self) -> String {
        let run = self.current.run();
        let state = self.state.lock();
        let lines = state.tail.iter().filter(|line| line.run == run);
        lines
            .map(|line| line.text.as_str())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Hands out the lines that were read. `queue` says how many bytes the sink will have got rid
    /// of when it is done with them.
    pub(super) fn hand_out(&self, queue: impl FnOnce(&[u8]) -> u64) {
        let mut state = self.state.lock();
        if state.kept {
            state.kept = false;
            let until = queue(&state.lines);
            let printed = self.printed.taken(self.which);
            state.handed_out.push_back(HandedOut { until, printed });
            // Long lists are rare, and their memory is not kept.
            state.lines = Vec::new();
        }
    }

    /// Tells the worker what is where it belongs by now. `gone`: how many bytes the sink has got
    /// rid of. Whether there was something to tell.
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

    /// Bytes that have not come to the sink.
    pub(super) fn left(&self) -> u64 {
        let unread = rustix::io::ioctl_fionread(&self.fd).unwrap_or(0);
        unread + self.state.lock().lines.len() as u64
    }

    /// Whether nothing is on its way from this stream to its sink.
    pub(super) fn is_passed_on(&self) -> bool {
        self.state.lock().is_passed_on()
    }

    /// Where to read, if there may be something.
    pub(super) fn source(&self) -> Option<BorrowedFd<'_>> {
        (!self.state.lock().ended).then(|| self.fd.as_fd())
    }

    /// Whether nothing comes any more and all was passed on.
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
