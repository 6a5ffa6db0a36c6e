//! Waiting without a thread: the steps of a future in place of a sleep. README: "Futures".

mod place;
mod poll;
mod serve;
mod state;
mod waiters;

use std::{
    fmt, io,
    sync::Arc,
    task::{Poll, Waker},
    time::Instant,
};

use super::{LockError, waiter_count::Record};
use crate::{primitive::Memory, waiting::LONG};

use place::Place;
use waiters::Found;

pub use waiters::Waiters;

/// The reason for which a future has not got a lock.
#[derive(Debug)]
pub enum PollError {
    /// The error that a thread would get.
    Lock(LockError),
    /// No thread sleeps for the futures of this process, and the system refuses to start one.
    NoThread(io::Error),
}

/// The wait of one future for one lock. Its drop ends the wait. Then another waiter gets a wake-up
/// that the future may have got, and none is barred for it.
pub struct Polled<M: Memory> {
    waiters: Arc<Waiters<M>>,
    /// Its number among all waiting futures, by which they are ordered. It keeps the number until
    /// the end.
    number: Option<u64>,
    /// The waker of its task, until it is listed.
    waker: Option<Waker>,
    /// Whether it is listed with `waiters`.
    listed: bool,
    /// The address of the line's futex, if it was taken out of a line without having been woken.
    left: Option<usize>,
    began: Option<Instant>,
    /// The number of times that it was not polled in time after it had been woken.
    missed: u32,
    /// Whether it has been woken, and so came before newcomers.
    slept: bool,
    /// Whether it bars other waits. The kind of lock decides which.
    bars: bool,
    /// Whether it owns the raw lock and waits for readers.
    draining: bool,
    /// Its entry in the waiter count of a semaphore.
    record: Option<Record>,
}

impl<M: Memory> Polled<M> {
    /// Returns the wait of a future that has not been polled yet.
    pub fn new(waiters: &Arc<Waiters<M>>) -> Polled<M> {
        Polled {
            waiters: waiters.clone(),
            number: None,
            waker: None,
            listed: false,
            left: None,
            began: None,
            missed: 0,
            slept: false,
            bars: false,
            draining: false,
            record: None,
        }
    }

    /// Begins a poll. From now on the future is in no line, so no thread acts for it. The clone of
    /// the waker runs foreign code, so it comes first: if it panics, nothing has happened.
    fn begin(&mut self, waker: &Waker) {
        self.waker = Some(waker.clone());
        self.began.get_or_insert_with(Instant::now);
        let (true, Some(number)) = (self.listed, self.number) else {
            return;
        };
        self.listed = false;
        match self.waiters.take_out(number) {
            Found::Waiting { line } => self.left = Some(line),
            Found::Woken => self.slept = true,
            Found::Passed => {
                // See `Place::pass`.
                self.slept = true;
                self.bars = false;
                self.draining = false;
                self.record = None;
                self.missed += 1;
            }
        }
    }

    /// Returns whether it has waited long. Models have no time: a woken future has waited long
    /// there.
    fn is_long(&self) -> bool {
        let long = |began: Instant| cfg!(loom) || began.elapsed() >= LONG;
        self.slept && self.began.is_some_and(long)
    }

    /// Lists the future at this place until the futex there is no longer `seq`.
    fn wait<T>(&mut self, place: Place<M>, seq: u32) -> Poll<Result<T, PollError>> {
        let number = *self.number.get_or_insert_with(|| self.waiters.number());
        let waker = self.waker.take();
        let listed = self.waiters.list(number, place, seq, waker, self.missed);
        self.end();
        match listed {
            Ok(()) => {
                self.listed = true;
                Poll::Pending
            }
            Err(error) => {
                self.bars = false;
                self.draining = false;
                self.record = None;
                Poll::Ready(Err(PollError::NoThread(error)))
            }
        }
    }

    /// Reports a line that it has left, which may now be without a future.
    fn end(&mut self) {
        if let Some(line) = self.left.take() {
            self.waiters.has_left(line);
        }
    }
}

impl<M: Memory> Drop for Polled<M> {
    fn drop(&mut self) {
        if self.listed
            && let Some(number) = self.number
        {
            self.waiters.give_up(number);
        }
        self.end();
    }
}

impl<M: Memory> fmt::Debug for Polled<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Polled")
            .field("number", &self.number)
            .field("listed", &self.listed)
            .finish_non_exhaustive()
    }
}
