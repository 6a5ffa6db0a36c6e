//! What a task printed is out before its result is: the worker sees to that at the end of a task.
//!
//! The driver's thread for output reads the pipes at its own time. A result that overtakes it would
//! be a result without its output, in a program that exits then. So a task that has printed ends
//! when the driver has passed all of that on. A task that has printed nothing pays for two looks at
//! the processor's clock; one that ran for as long as a write takes, for one system call too.

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

/// Writes into a pipe whose shortest is taken for the shortest there is, less a quarter.
const SAMPLES: usize = 16;

/// Looks with a yield in between, before those with a sleep in between.
const YIELDS: u32 = 64;

/// Sleeps between two looks grow up to this.
const LONGEST_SLEEP: Duration = Duration::from_millis(5);

/// This worker's outputs, seen from the inside.
#[derive(Debug)]
pub(super) struct Printed {
    words: WorkerPrinted,
    /// Readable while a pipe has something in it.
    unread: OwnedFd,
    /// The worker's ends of the two pipes, and which files they are: a task may close descriptors.
    pipes: [Option<(OwnedFd, Identity)>; 2],
    /// `unread` was closed, or is another file now.
    lost: AtomicBool,
    /// Ticks within which nothing can be printed.
    shortest: u64,
}

/// When the code of a task began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun(u64);

impl Printed {
    /// Of a worker whose standard output and standard error lead to the driver by now.
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

    /// Whether a task has closed descriptors of this worker, as far as that was noticed at its end.
    #[inline]
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// To be called before the code of a task, as late as that can be: what the worker does itself
    /// would count against the time that a write takes.
    #[inline]
    pub(super) fn begin(&self) -> Begun {
        Begun(mobula_store::ticks())
    }

    /// Waits until all is out that was printed before, if the task that began then can have printed
    /// anything; but not after `closing` says that the worker is to end.
    #[inline]
    pub(super) fn settle(&self, begun: Begun, closing: impl Fn() -> bool) {
        // A clock that goes backwards yields a long time.
        if mobula_store::ticks().wrapping_sub(begun.0) >= self.shortest && self.is_unsettled() {
            self.wait(closing);
        }
    }

    /// Waits until all is out that was printed before, as [`settle`](Printed::settle).
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

/// Bytes in a pipe. None, if the descriptor is no longer that pipe's.
fn unread(fd: &OwnedFd, was: Identity) -> u64 {
    match was.is_of(fd) {
        true => ioctl_fionread(fd).unwrap_or(0),
        false => 0,
    }
}

/// How many ticks it takes at least to write into a pipe.
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

/// How to wait for the driver, which takes some tens of microseconds unless its own output is slow.
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
