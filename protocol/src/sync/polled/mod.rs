//! Waiting without a thread: what a future does in the place of sleeping. README: "Futures".

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

/// Why a future has not got what it waits for.
#[derive(Debug)]
pub enum PollError {
    /// What a thread would have been told.
    Lock(LockError),
    /// There is no thread that waits for all futures of this process, and the system refuses to
    /// start one.
    NoThread(io::Error),
}

/// The waiting of one future, for one thing. Its drop ends it: others get what it may have been
/// woken for, and are barred no more for its sake.
pub struct Polled<M: Memory> {
    waiters: Arc<Waiters<M>>,
    /// Its number among all who wait, by which they are ordered. It keeps that until the end.
    number: Option<u64>,
    /// What wakes it, until it is listed.
    waker: Option<Waker>,
    /// It is listed with `waiters`.
    listed: bool,
    /// The address of the futex in whose line it was, if it was taken out without having been
    /// woken.
    left: Option<usize>,
    began: Option<Instant>,
    /// How often it was not polled in time after it had been woken.
    missed: u32,
    /// It has been woken, and so was there before those who come now.
    slept: bool,
    /// It bars others: what that means depends on what it waits for.
    bars: bool,
    /// It owns the raw lock, and waits for readers.
    draining: bool,
    /// It is in the waiter count of a semaphore.
    record: Option<Record>,
}

impl<M: Memory> Polled<M> {
    /// The future has not been polled yet.
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

    /// The future is polled. From here on it is in no line, so nobody acts for it. The waker is the
    /// code of others, and so comes first: if that panics, nothing has happened.
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

    /// Whether it has waited long. In models there is no time: whoever has been woken has.
    fn is_long(&self) -> bool {
        let long = |began: Instant| cfg!(loom) || began.elapsed() >= LONG;
        self.slept && self.began.is_some_and(long)
    }

    /// The future waits at this place until the futex there is no longer `seq`.
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

    /// The line that it has left may be without anybody now.
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
