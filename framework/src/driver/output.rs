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
};

use mobula_worker::{Error, Registry, Result, mailbox::DriverState};
use parking_lot::Mutex;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

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
    /// The reading end of a pipe.
    ///
    /// # Errors
    /// It cannot be made non-blocking.
    pub(super) fn new(
        fd: OwnedFd,
        pid: u32,
        current: DriverState,
        registry: &'static Registry,
    ) -> Result<Arc<Stream>> {
        rustix::io::ioctl_fionbio(&fd, true)
            .map_err(|error| Error::setup(format!("cannot read a worker's output: {error}")))?;
        Ok(Arc::new(Stream {
            fd,
            pid,
            current,
            registry,
            state: Mutex::default(),
        }))
    }

    /// Reads what is there.
    fn read(&self) {
        let mut state = self.state.lock();
        let mut buffer = [0; 16 << 10];
        while !state.ended {
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

/// The output thread's list.
#[derive(Debug)]
pub(super) struct Output {
    /// Standard outputs and standard errors, in pairs.
    streams: Mutex<Vec<(Arc<Stream>, Arc<Stream>)>>,
    wake: Option<OwnedFd>,
    closed: AtomicBool,
}

impl Output {
    pub(super) fn new() -> Output {
        Output {
            streams: Mutex::default(),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok(),
            closed: AtomicBool::new(false),
        }
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
        if let Some(wake) = &self.wake {
            let _ = rustix::io::write(wake, &1_u64.to_ne_bytes());
        }
    }

    pub(super) fn run(&self) {
        loop {
            let streams = self.streams.lock().clone();
            for (stdout, stderr) in &streams {
                stdout.read();
                stderr.read();
                // Nobody to tell when the driver's own output is gone.
                let _ = std::io::stdout().lock().write_all(&stdout.take_lines());
                let _ = std::io::stderr().lock().write_all(&stderr.take_lines());
            }
            let _ = std::io::stdout().flush();
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
            if let Some(wake) = &self.wake {
                fds.push(PollFd::new(wake, PollFlags::IN));
            }
            let _ = poll(&mut fds, None);
            if let Some(wake) = &self.wake {
                let _ = rustix::io::read(wake, &mut [0; 8]);
            }
        }
    }
}
