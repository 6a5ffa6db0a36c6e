//! Passes on the workers' output line by line, with the function's name and the process id.
//!
//! One thread does this. It reads a worker's pipe only as fast as the driver's own output takes the
//! lines. A task that prints therefore waits for a slow reader, like a task that writes there
//! itself. The worker ends a task that has printed when all of its output was passed on: see
//! `process/printed.rs` of the worker. Other threads of the driver wait for this thread only at a
//! worker's death and at the end, for bounded times.

mod sink;
mod stream;

use std::{
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use mobula_protocol::{Error, Result, mailbox};
use mobula_store::{descriptors, limits::Wanted};
use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, poll};

use crate::bars;
use sink::Sink;
pub(super) use stream::{Stream, Words};

/// At the end, readers of the driver's output have to take some bytes within this time.
const STALL: Duration = Duration::from_secs(1);

/// At the end, this is the maximum time of the wait for all readers.
const LONGEST_END: Duration = Duration::from_secs(60);

/// Standard output and standard error of one worker.
type Pair = (Arc<Stream>, Arc<Stream>);

/// The state of the output thread.
#[derive(Debug)]
pub(super) struct Output {
    streams: Mutex<Vec<Pair>>,
    stdout: Sink,
    stderr: Sink,
    wake: OwnedFd,
    /// Whether no further stream is added.
    closed: AtomicBool,
    /// Whether the driver gives up all output that has not been passed on.
    given_up: AtomicBool,
    progress: Mutex<Progress>,
    has_progress: Condvar,
}

#[derive(Debug, Default)]
struct Progress {
    /// Number of bytes that were written or given up.
    bytes: u64,
    done: bool,
}

impl Output {
    /// Makes the state without streams.
    ///
    /// # Errors
    /// The process is out of descriptors.
    pub(super) fn new() -> Result<Output> {
        let wake = descriptors::event().map_err(|error| {
            Error::refused(
                "cannot watch the workers' output",
                Wanted::Descriptor,
                error,
            )
        })?;
        Ok(Output {
            streams: Mutex::default(),
            stdout: Sink::new(mailbox::Stream::Stdout),
            stderr: Sink::new(mailbox::Stream::Stderr),
            wake,
            closed: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
            progress: Mutex::default(),
            has_progress: Condvar::new(),
        })
    }

    pub(super) fn add(&self, stdout: Arc<Stream>, stderr: Arc<Stream>) {
        self.streams.lock().push((stdout, stderr));
        self.notify();
    }

    /// Ends the thread when all streams have ended.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.notify();
    }

    pub(super) fn notify(&self) {
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// Blocks until the output of a dead worker is passed on, but no longer than `patience`.
    pub(super) fn wait_for(&self, streams: [&Stream; 2], patience: Duration) {
        self.notify();
        let deadline = Instant::now() + patience;
        let mut progress = self.progress.lock();
        while !progress.done && !streams.iter().all(|stream| stream.is_passed_on()) {
            let waited = self.has_progress.wait_until(&mut progress, deadline);
            if waited.timed_out() {
                return;
            }
        }
    }

    /// Blocks until all output is passed on. Gives up when readers have taken nothing for `STALL`,
    /// or after `LONGEST_END`. Reports the loss on standard error.
    pub(super) fn wait_until_done(&self) {
        let end = Instant::now() + LONGEST_END;
        let mut progress = self.progress.lock();
        let (mut bytes, mut stall) = (progress.bytes, Instant::now() + STALL);
        while !progress.done {
            let waited = self.has_progress.wait_until(&mut progress, stall.min(end));
            if progress.bytes != bytes && Instant::now() < end {
                (bytes, stall) = (progress.bytes, Instant::now() + STALL);
                continue;
            }
            if waited.timed_out() && !progress.done {
                drop(progress);
                return self.give_up();
            }
        }
    }

    fn give_up(&self) {
        self.given_up.store(true, Ordering::SeqCst);
        self.notify();
        let streams = self.streams.lock().clone();
        let left =
            |of: fn(&Pair) -> &Stream| streams.iter().map(|pair| of(pair).left()).sum::<u64>();
        let sinks = [
            (&self.stdout, left(|pair| &pair.0)),
            (&self.stderr, left(|pair| &pair.1)),
        ];
        for (sink, left) in sinks {
            let lost = sink.waiting() + left;
            if lost > 0 {
                sink::say(&format!(
                    "mobula: {lost} bytes that tasks have printed are lost, because {} does not take them\n",
                    sink.name()
                ));
            }
        }
    }

    /// Runs the output thread. Returns when the list is closed and all its streams have ended, or
    /// when the driver gives up.
    pub(super) fn run(&self) {
        while self.step() {}
        self.progress.lock().done = true;
        self.has_progress.notify_all();
    }

    /// Passes on the available output, and sleeps until there is more. Returns whether the thread
    /// continues.
    fn step(&self) -> bool {
        let mut streams = self.streams.lock().clone();
        for (stdout, stderr) in &streams {
            stdout.hand_out(|lines| self.stdout.push(lines));
            stderr.hand_out(|lines| self.stderr.push(lines));
        }
        self.tell(&streams);
        if streams.iter().any(is_over) {
            self.streams.lock().retain(|pair| !is_over(pair));
            streams.retain(|pair| !is_over(pair));
        }
        let idle = streams.is_empty() && self.stdout.is_empty() && self.stderr.is_empty();
        if self.given_up.load(Ordering::SeqCst) || self.closed.load(Ordering::SeqCst) && idle {
            return false;
        }

        let mut fds = vec![PollFd::new(&self.wake, PollFlags::IN)];
        let sinks: Vec<&Sink> = [&self.stdout, &self.stderr]
            .into_iter()
            .filter(|sink| !sink.is_empty())
            .collect();
        for sink in &sinks {
            fds.push(PollFd::from_borrowed_fd(sink.fd(), PollFlags::OUT));
        }
        let mut sources = Vec::new();
        for (stdout, stderr) in &streams {
            for (stream, sink) in [(stdout, &self.stdout), (stderr, &self.stderr)] {
                if let Some(fd) = stream.source().filter(|_| sink.has_room()) {
                    fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
                    sources.push(stream);
                }
            }
        }
        let _ = poll(&mut fds, None);
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
        let (sinks_ready, sources_ready) = ready[1..].split_at(sinks.len());
        for (sink, _) in sinks.iter().zip(sinks_ready).filter(|(_, ready)| **ready) {
            bars::above(sink.fd(), || sink.write());
        }
        for (stream, _) in sources
            .iter()
            .zip(sources_ready)
            .filter(|(_, ready)| **ready)
        {
            stream.read();
        }
        true
    }

    /// Tells the workers and the waiting threads of this process which output is out.
    fn tell(&self, streams: &[Pair]) {
        let gone = (self.stdout.gone(), self.stderr.gone());
        let mut told = false;
        for (stdout, stderr) in streams {
            told |= stdout.tell(gone.0);
            told |= stderr.tell(gone.1);
        }
        let bytes = gone.0 + gone.1;
        let mut progress = self.progress.lock();
        if told || progress.bytes != bytes {
            progress.bytes = bytes;
            self.has_progress.notify_all();
        }
    }
}

fn is_over((stdout, stderr): &Pair) -> bool {
    stdout.is_over() && stderr.is_over()
}
