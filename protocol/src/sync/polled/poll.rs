//! The steps of a future that wants a lock. It checks the lock, and waits if it cannot have it.

use std::{
    sync::atomic::Ordering::{AcqRel, Acquire, SeqCst},
    task::{
        Poll::{self, Ready},
        Waker, ready,
    },
};

use super::{
    super::{
        Acquired, Holder, LocalReaders, LockError, Permit, RawMutex, RawRwLock, RawSemaphore,
        raw_lock::{Look, RawLock},
        rwlock::ReadAttempt,
        word::{DRAINING, READERS, STARVING, TURN, WAITERS},
    },
    Place, PollError, Polled,
};
use crate::primitive::{Futex, Memory, Word};

impl<M: Memory> RawLock<M> {
    /// Takes the raw lock like `take`. It reads the sequence first, and announces the wait in the
    /// word that it has checked.
    fn poll_take(&self, holder: Holder, wait: &mut Polled<M>) -> Poll<Result<(), PollError>> {
        loop {
            let seq = self.queue().futex().load(Acquire);
            let word = self.word().load(Acquire);
            let word = match self.enter(word, holder, wait.slept, wait.bars) {
                Look::Taken => {
                    wait.bars = false;
                    return Ready(Ok(()));
                }
                Look::Recursive => return Ready(Err(PollError::Lock(LockError::Recursive))),
                Look::Closed(word) => word,
            };
            let bars = wait.bars || wait.is_long();
            let announced = word | WAITERS | if bars { STARVING } else { 0 };
            if announced == word || self.word().exchange(word, announced, AcqRel).is_ok() {
                wait.bars = bars;
                let raw_lock = self.clone();
                return wait.wait(Place::RawLock { raw_lock, bars }, seq);
            }
        }
    }
}

impl<M: Memory> RawMutex<M> {
    /// Locks it, or arranges that the waker is called when it may be free. `wait` belongs to this
    /// future in all its polls.
    ///
    /// # Errors
    /// Fails with [`PollError::NoThread`], or with [`PollError::Lock`] if the holder is a thread
    /// that has it already.
    pub fn poll_lock(
        &self,
        holder: Holder,
        wait: &mut Polled<M>,
        waker: &Waker,
    ) -> Poll<Result<Acquired, PollError>> {
        wait.begin(waker);
        ready!(self.raw_lock().poll_take(holder, wait))?;
        wait.end();
        Ready(Ok(Acquired::new(self.poison())))
    }
}

impl<M: Memory> RawRwLock<M> {
    /// Begins to write, or arranges that the waker is called when that may be possible. `wait`
    /// belongs to this future in all its polls.
    ///
    /// # Errors
    /// Fails with [`PollError::NoThread`], or with [`PollError::Lock`] if the holder is a thread
    /// that writes already.
    pub fn poll_write(
        &self,
        holder: Holder,
        wait: &mut Polled<M>,
        waker: &Waker,
    ) -> Poll<Result<Acquired, PollError>> {
        wait.begin(waker);
        if !wait.draining {
            ready!(self.raw_lock().poll_take(holder, wait))?;
            M::fence();
            if !self.is_read() {
                wait.end();
                return Ready(Ok(Acquired::new(self.poison())));
            }
            self.raw_lock().word().fetch_or(DRAINING, SeqCst);
            wait.draining = true;
        }
        let seq = self.exit().futex().load(Acquire);
        if self.is_read() {
            let lock = self.clone();
            return wait.wait(Place::Exit { lock, holder }, seq);
        }
        self.raw_lock().word().fetch_and(!DRAINING, AcqRel);
        wait.draining = false;
        wait.end();
        Ready(Ok(Acquired::new(self.poison())))
    }

    /// Begins to read, or arranges that the waker is called when that may be possible. `wait`
    /// belongs to this future in all its polls.
    ///
    /// # Errors
    /// Fails with [`PollError::NoThread`].
    pub fn poll_read(
        &self,
        holder: Holder,
        local: &LocalReaders<M::Futex>,
        wait: &mut Polled<M>,
        waker: &Waker,
    ) -> Poll<Result<Acquired, PollError>> {
        wait.begin(waker);
        loop {
            let seq = self.entrance().futex().load(Acquire);
            let ReadAttempt::Closed(word) = self.enter(holder.slot(), local) else {
                if std::mem::take(&mut wait.bars) {
                    self.end_turn();
                }
                wait.end();
                return Ready(Ok(Acquired::new(self.poison())));
            };
            let bars = wait.bars || wait.is_long();
            let announced = word | READERS | if bars { TURN } else { 0 };
            let raw_lock = self.raw_lock().word();
            if announced == word || raw_lock.exchange(word, announced, AcqRel).is_ok() {
                wait.bars = bars;
                let lock = self.clone();
                return wait.wait(Place::Entrance { lock, bars }, seq);
            }
        }
    }
}

impl<M: Memory> RawSemaphore<M> {
    /// Takes a permit for the holder's process, or arranges that the waker is called when one may
    /// be free. `wait` belongs to this future in all its polls.
    ///
    /// # Errors
    /// Fails with [`PollError::NoThread`].
    pub fn poll_acquire(
        &self,
        holder: Holder,
        wait: &mut Polled<M>,
        waker: &Waker,
    ) -> Poll<Result<Permit, PollError>> {
        wait.begin(waker);
        let seq = self.queue().futex().load(Acquire);
        let record = match wait.record {
            Some(record) if self.waiter_count().is_current(record) => record,
            _ => *wait.record.insert(self.waiter_count().enter()),
        };
        wait.bars |= wait.is_long();
        if wait.bars {
            self.waiter_count().starve();
        }
        // After the entry into the waiter count. A thread may release a permit that this search
        // misses. It then finds this future in the count.
        if (wait.slept || !record.starving())
            && let Some(permit) = self.find(holder)
        {
            self.leave(record, wait.bars);
            wait.record = None;
            wait.end();
            return Ready(Ok(permit));
        }
        let place = Place::Permit {
            semaphore: self.clone(),
            record,
            bars: wait.bars,
        };
        wait.wait(place, seq)
    }
}
