//! Waiting, between processes, until something that a mutex protects has changed.

use std::{fmt, time::Duration};

use mobula_protocol::{
    Error, Result, SharedKind,
    sync::{RawCondvar, WaitError},
};

use super::{
    cell::{Cell, CellMemory, Layout},
    data::SharedData,
    errors::unless_poisoned,
    mutex::SharedMutexGuard,
};
use crate::Runtime;

const LAYOUT: Layout = Layout {
    words: RawCondvar::<CellMemory>::WORDS,
    futexes: RawCondvar::<CellMemory>::FUTEXES,
};

const KIND: (SharedKind, u64) = (SharedKind::Condvar, 0);

/// A condition variable between processes, for use with [`SharedMutex`](crate::SharedMutex)es.
///
/// A wait may end without a notification, also since some process has died: look at the condition
/// again, or use [`wait_while`](Self::wait_while).
#[derive(Clone)]
pub struct SharedCondvar {
    cell: Cell,
    raw: RawCondvar<CellMemory>,
}

impl SharedCondvar {
    fn new(cell: Cell) -> SharedCondvar {
        SharedCondvar {
            raw: RawCondvar::new(cell.memory.clone(), 0, 0),
            cell,
        }
    }

    /// Unlocks, waits for a notification, and locks again. A notification that is sent after the
    /// unlocking is not missed.
    ///
    /// # Errors
    /// [`is_poisoned`](Error::is_poisoned): somebody died or panicked with the mutex meanwhile; it
    /// is unlocked then. [`is_shutdown`](Error::is_shutdown): the runtime ended while this waited;
    /// it is not locked then.
    pub fn wait<'m, T: SharedData + ?Sized>(
        &self,
        guard: SharedMutexGuard<'m, T>,
    ) -> Result<SharedMutexGuard<'m, T>> {
        self.wait_for(guard, None).map(|(guard, _)| guard)
    }

    /// As [`wait`](Self::wait), for at most this long; says whether a notification may have come.
    ///
    /// # Errors
    /// As for `wait`.
    pub fn wait_timeout<'m, T: SharedData + ?Sized>(
        &self,
        guard: SharedMutexGuard<'m, T>,
        limit: Duration,
    ) -> Result<(SharedMutexGuard<'m, T>, bool)> {
        self.wait_for(guard, Some(limit))
    }

    /// Waits until `condition` says no.
    ///
    /// # Errors
    /// As for [`wait`](Self::wait).
    pub fn wait_while<'m, T: SharedData + ?Sized>(
        &self,
        mut guard: SharedMutexGuard<'m, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> Result<SharedMutexGuard<'m, T>> {
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    fn wait_for<'m, T: SharedData + ?Sized>(
        &self,
        mut guard: SharedMutexGuard<'m, T>,
        limit: Option<Duration>,
    ) -> Result<(SharedMutexGuard<'m, T>, bool)> {
        let waiting = self.cell.waiting(limit);
        let waited = self.raw.wait(guard.raw(), guard.holder(), waiting);
        let waited = waited.map_err(|error| match error {
            WaitError::Ended => self.cell.why_ended(),
            WaitError::NotHolder => Error::internal("the mutex is not locked by this thread"),
        })?;
        guard.acquired_again(waited.acquired);
        let guarded = (guard, !waited.timed_out);
        unless_poisoned("the shared mutex", guarded, waited.acquired.cause())
    }

    /// Wakes one of those who wait.
    pub fn notify_one(&self) {
        self.raw.notify_one();
    }

    /// Wakes all who wait.
    pub fn notify_all(&self) {
        self.raw.notify_all();
    }
}

impl Runtime {
    /// Makes a condition variable between processes.
    ///
    /// # Errors
    /// [`is_store_full`](Error::is_store_full) when there is no room, `is_shutdown` after the
    /// runtime's end.
    pub fn shared_condvar(&self) -> Result<SharedCondvar> {
        Cell::create(self.engine(), KIND, LAYOUT, &[], 0).map(SharedCondvar::new)
    }
}

impl fmt::Debug for SharedCondvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedCondvar")
    }
}

super::cell::travels! { SharedCondvar, KIND, LAYOUT }
