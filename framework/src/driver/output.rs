//! What workers print, passed on line by line with the function's name and the process' id.
//!
//! A thread of its own does this: whoever holds the driver's standard output (or has it connected
//! to something that does not read) can hold up this thread, but nothing else.

use std::{
    collections::VecDeque,
    fmt,
    io::Write,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use mobula_store::descriptors;
use mobula_worker::{Error, Registry, Result, mailbox::DriverState};
use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, poll};

/// Lines of standard error that are kept for the error of a worker's death.
const TAIL: usize = 20;

/// A line that does not end is passed on in pieces of this length.
const LONGEST: usize = 64 << 10;

/// One of the two outputs of a worker.
pub(super) struct Stream {
    fd: OwnedFd,
    pid: u32,
    current: DriverState,
    registry: &'static Registry,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What came after the last line's end.
    partial: Vec<u8>,
    /// Whole lines with their prefix, to be printed.
    lines: Vec<u8>,
    tail: VecDeque<String>,
    ended: bool,
}

impl Stream {
    /// The reading end of a pipe, which must not block.
    pub(super) fn new(
        fd: OwnedFd,
        pid: u32,
        current: DriverState,
        registry: &'static Registry,
    ) -> Arc<Stream> {
        Arc::new(Stream {
            fd,
            pid,
            current,
            registry,
            state: Mutex::default(),
        })
    }

    /// Reads what is there.
    fn read(&self) {
        let mut state = self.state.lock();
        let mut buffer = [0; 16 << 10];
        // A bounded number at a time, so that one that never stops does not hold up the others.
        for _ in 0..64 {
            if state.ended {
                return;
            }
            match rustix::io::read(&self.fd, &mut buffer) {
                Ok(0) => self.end(&mut state),
                Ok(length) => self.take(&mut state, &buffer[..length]),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return,
                Err(_) => self.end(&mut state),
            }
        }
    }

    /// The worker is dead: what it wrote is read, and what a process that it left behind may still
    /// write is not waited for.
    pub(super) fn finish(&self) {
        self.read();
        self.end(&mut self.state.lock());
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
        }
        state.ended = true;
    }

    fn emit(&self, state: &mut State) {
        let line = std::mem::take(&mut state.partial);
        let name = self
            .current
            .function()
            .map_or("worker", |function| self.registry.name(function));
        let _ = write!(state.lines, "({name} pid={}) ", self.pid);
        state.lines.extend_from_slice(&line);
        state.lines.push(b'\n');
        if state.tail.len() == TAIL {
            state.tail.pop_front();
        }
        let mut text = String::from_utf8_lossy(&line).into_owned();
        truncate(&mut text, 1000);
        state.tail.push_back(text);
    }

    /// The last lines, without prefix.
    pub(super) fn tail(&self) -> String {
        let state = self.state.lock();
        state
            .tail
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn take_lines(&self) -> Vec<u8> {
        std::mem::take(&mut self.state.lock().lines)
    }

    fn ended(&self) -> bool {
        let state = self.state.lock();
        state.ended && state.lines.is_empty()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
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

/// Nobody is to be told when the driver's own output is gone, and its lock is not taken for nothing.
fn print(mut to: impl Write, lines: &[u8]) {
    if !lines.is_empty() {
        let _ = to.write_all(lines);
        let _ = to.flush();
    }
}

/// The output thread's list.
#[derive(Debug)]
pub(super) struct Output {
    /// Standard outputs and standard errors, in pairs.
    streams: Mutex<Vec<(Arc<Stream>, Arc<Stream>)>>,
    wake: OwnedFd,
    closed: AtomicBool,
    done: Mutex<bool>,
    is_done: Condvar,
}

impl Output {
    /// An empty list.
    ///
    /// # Errors
    /// Out of descriptors.
    pub(super) fn new() -> Result<Output> {
        let wake = descriptors::event()
            .map_err(|error| Error::setup(format!("cannot watch the workers' output: {error}")))?;
        Ok(Output {
            streams: Mutex::default(),
            wake,
            closed: AtomicBool::new(false),
            done: Mutex::new(false),
            is_done: Condvar::new(),
        })
    }

    pub(super) fn add(&self, stdout: Arc<Stream>, stderr: Arc<Stream>) {
        self.streams.lock().push((stdout, stderr));
        self.ring();
    }

    /// Ends the thread when all streams have ended.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.ring();
    }

    pub(super) fn ring(&self) {
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// Waits until all has been printed, but not for ever: whoever holds the driver's standard
    /// output may be the one who waits here.
    pub(super) fn wait_until_done(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut done = self.done.lock();
        while !*done && !self.is_done.wait_until(&mut done, deadline).timed_out() {}
    }

    /// The thread: ends when the list is closed and all its streams have ended.
    pub(super) fn run(&self) {
        self.pass_on();
        *self.done.lock() = true;
        self.is_done.notify_all();
    }

    fn pass_on(&self) {
        loop {
            let streams = self.streams.lock().clone();
            for (stdout, stderr) in &streams {
                stdout.read();
                stderr.read();
                print(std::io::stdout(), &stdout.take_lines());
                print(std::io::stderr(), &stderr.take_lines());
            }
            self.streams
                .lock()
                .retain(|(stdout, stderr)| !(stdout.ended() && stderr.ended()));
            let streams = self.streams.lock().clone();
            if self.closed.load(Ordering::SeqCst) && streams.is_empty() {
                return;
            }
            let open = |stream: &Arc<Stream>| !stream.state.lock().ended;
            let mut fds: Vec<PollFd<'_>> = streams
                .iter()
                .flat_map(|(stdout, stderr)| [stdout, stderr])
                .filter(|stream| open(stream))
                .map(|stream| PollFd::from_borrowed_fd(stream.fd.as_fd(), PollFlags::IN))
                .collect();
            fds.push(PollFd::new(&self.wake, PollFlags::IN));
            let _ = poll(&mut fds, None);
            let _ = rustix::io::read(&self.wake, &mut [0; 8]);
        }
    }
}
