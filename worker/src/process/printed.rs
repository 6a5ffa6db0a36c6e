//! The output of a task is out before its result: the worker waits for the output at a task's end.
//!
//! The driver's thread for output reads the pipes at its own time. If a result overtakes it, a
//! program that exits then shows the result without its output. So a task that has printed ends
//! when the driver has passed all of the output on. A task that has printed nothing reads the
//! processor's clock twice. If this task ran for at least as long as a write takes, it makes one
//! system call too.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use mobula_store::descriptors::{self, Identity};
use rustix::{
    event::epoll,
    io::{Errno, ioctl_fionread},
};

use mobula_protocol::mailbox::{Stream, WorkerPrinted};

/// How many writes into a pipe are measured. The shortest of them, less a quarter, counts as the
/// shortest possible write.
const SAMPLES: usize = 16;

/// How many looks have a yield in between. Later looks have a sleep in between.
const YIELDS: u32 = 64;

/// The longest sleep between two looks.
const LONGEST_SLEEP: Duration = Duration::from_millis(5);

/// This worker's outputs, seen from the inside.
#[derive(Debug)]
pub(super) struct Printed {
    words: WorkerPrinted,
    /// Readable while a pipe has something in it.
    unread: OwnedFd,
    /// The worker's ends of the two pipes, and which files they are, since a task may close
    /// descriptors.
    pipes: [Option<(OwnedFd, Identity)>; 2],
    /// Whether `unread` was closed, or is another file now.
    lost: AtomicBool,
    /// The number of ticks within which nothing can be printed.
    shortest: u64,
}

/// When the code of a task began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun(u64);

impl Printed {
    /// Takes the outputs of a worker whose standard output and standard error lead to the driver by
    /// now.
    pub(super) fn new(words: WorkerPrinted, unread: OwnedFd) -> Printed {
        let keep = |fd: rustix::fd::BorrowedFd<'_>| {
            let fd = descriptors::duplicate(fd).ok()?;
            let identity = Identity::of(&fd).ok()?;
            Some((fd, identity))
        };
        Printed {
            words,
            unread,
            pipes: [
                keep(std::io::stdout().as_fd()),
                keep(std::io::stderr().as_fd()),
            ],
            lost: AtomicBool::new(false),
            shortest: shortest_write().unwrap_or(0),
        }
    }

    /// Whether a task has closed descriptors of this worker, if that was noticed at a task's end.
    #[inline]
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Notes that the code of a task begins. To be called as late as possible before that code. The
    /// worker's own work would count against the time that a write takes.
    #[inline]
    pub(super) fn begin(&self) -> Begun {
        Begun(mobula_store::ticks())
    }

    /// Blocks until all earlier output is out, or until `closing` says that the worker is to end.
    /// Returns at once if the task that began at `begun` cannot have printed anything.
    #[inline]
    pub(super) fn settle(&self, begun: Begun, closing: impl Fn() -> bool) {
        // A clock that goes backwards yields a long time.
        if mobula_store::ticks().wrapping_sub(begun.0) >= self.shortest && self.is_unsettled() {
            self.wait(closing);
        }
    }

    /// Blocks until all earlier output is out, or until `closing` says that the worker is to end.
    pub(super) fn settle_all(&self, closing: impl Fn() -> bool) {
        if self.is_unsettled() {
            self.wait(closing);
        }
    }

    fn is_unsettled(&self) -> bool {
        let mut event = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }];
        let now = rustix::event::Timespec::default();
        let unread = epoll::wait(&self.unread, &mut event, Some(&now));
        if let Err(Errno::BADF | Errno::INVAL) = unread {
            self.lost.store(true, Ordering::Relaxed);
        }
        unread.is_ok_and(|events| events > 0) || !self.words.is_settled()
    }

    #[cold]
    fn wait(&self, closing: impl Fn() -> bool) {
        for (stream, pipe) in [Stream::Stdout, Stream::Stderr]
            .into_iter()
            .zip(&self.pipes)
        {
            let mut pause = Pause::default();
            let left = || pipe.as_ref().map_or(0, |(fd, was)| unread(fd, *was));
            let target = loop {
                match self.words.target(stream, left) {
                    Some(target) => break target,
                    None if closing() => return,
                    None => pause.sleep(),
                }
            };
            while !self.words.reached(stream, target) {
                if closing() {
                    return;
                }
                pause.sleep();
            }
        }
    }
}

/// Returns how many bytes a pipe contains, or 0 if the descriptor is no longer that pipe's.
fn unread(fd: &OwnedFd, was: Identity) -> u64 {
    match was.is_of(fd) {
        true => ioctl_fionread(fd).unwrap_or(0),
        false => 0,
    }
}

/// Returns how many ticks a write into a pipe takes at least.
fn shortest_write() -> rustix::io::Result<u64> {
    let (read, write) = descriptors::pipe()?;
    let mut shortest = u64::MAX;
    for _ in 0..SAMPLES {
        let begin = mobula_store::ticks();
        rustix::io::write(&write, b"\n")?;
        shortest = shortest.min(mobula_store::ticks().wrapping_sub(begin));
        rustix::io::read(&read, &mut [0; 1])?;
    }
    Ok(shortest - shortest / 4)
}

/// The pauses while a task waits for the driver. The driver takes some tens of microseconds unless
/// its own output is slow.
#[derive(Default)]
struct Pause {
    count: u32,
}

impl Pause {
    fn sleep(&mut self) {
        match self.count.saturating_sub(YIELDS) {
            0 => thread::yield_now(),
            n => thread::sleep((n * Duration::from_micros(50)).min(LONGEST_SLEEP)),
        }
        self.count = self.count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_takes_some_ticks() {
        let shortest = shortest_write().unwrap();
        let (_read, write) = descriptors::pipe().unwrap();
        let begin = mobula_store::ticks();
        rustix::io::write(&write, b"a line\n").unwrap();
        assert!(shortest > 0 && mobula_store::ticks() - begin >= shortest);
    }

    #[test]
    fn a_descriptor_that_is_another_file_now_has_nothing_unread() {
        let (read, write) = descriptors::pipe().unwrap();
        rustix::io::write(&write, b"12345").unwrap();
        let pipe = Identity::of(&write).unwrap();
        assert_eq!(unread(&write, pipe), 5);
        let (_other_read, other_write) = descriptors::pipe().unwrap();
        rustix::io::write(&other_write, b"12345").unwrap();
        assert_eq!(unread(&other_write, pipe), 0);
        drop(read);
    }
}
