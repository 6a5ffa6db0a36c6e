//! A place where tasks wait for each other.

use std::{fmt, time::Duration};

use mobula_protocol::{
    Error, Result, SharedKind,
    sync::{BarrierError, RawBarrier},
};

use super::cell::{Cell, CellMemory, Layout};
use crate::Runtime;

const LAYOUT: Layout = Layout {
    words: RawBarrier::<CellMemory>::WORDS,
    futexes: RawBarrier::<CellMemory>::FUTEXES,
};

const KIND: (SharedKind, u64) = (SharedKind::Barrier, 0);

/// A barrier between processes: a number of parties wait until all have arrived, round after round.
///
/// Each party needs a task that runs: on `n` workers at most `n` tasks can meet (one that waits
/// here lets others run on its worker, so more can, too). When a process dies that had the barrier,
/// all who wait or come get an error that says so, until [`reset`](Self::reset): nobody hangs.
#[derive(Clone)]
pub struct SharedBarrier {
    cell: Cell,
    raw: RawBarrier<CellMemory>,
}

impl SharedBarrier {
    fn new(cell: Cell) -> SharedBarrier {
        SharedBarrier {
            raw: RawBarrier::new(cell.memory.clone(), 0, 0),
            cell,
        }
    }

    /// Blocks until all parties have arrived. One of them is told that it is the leader.
    ///
    /// # Errors
    /// [`is_poisoned`](Error::is_poisoned): the barrier is broken, or was reset while this waited.
    /// [`is_shutdown`](Error::is_shutdown): the runtime ended while this waited.
    pub fn wait(&self) -> Result<bool> {
        self.wait_for(None)
    }

    /// As [`wait`](Self::wait), for at most this long. If that is not enough the barrier is broken
    /// for all.
    ///
    /// # Errors
    /// As for `wait`, and [`is_timeout`](Error::is_timeout).
    pub fn wait_timeout(&self, limit: Duration) -> Result<bool> {
        self.wait_for(Some(limit))
    }

    fn wait_for(&self, limit: Option<Duration>) -> Result<bool> {
        let waited = self.raw.wait(self.cell.waiting(limit));
        waited.map_err(|error| match error {
            BarrierError::Ended => self.cell.why_ended(),
            BarrierError::TimedOut => Error::timeout(
                "not all parties came to the shared barrier within the time allowed, and it is broken now",
            ),
            BarrierError::Broken(_) | BarrierError::Reset => Error::poisoned(format!(
                "waiting at a shared barrier: {error}; `reset()` makes it usable again"
            )),
        })
    }

    /// Begins anew. Those who wait get an error.
    pub fn reset(&self) {
        self.raw.reset();
    }

    /// Why it is broken, if it is.
    pub fn broken(&self) -> Option<String> {
        self.raw.broken().map(|cause| cause.to_string())
    }

    /// How many parties there are.
    pub fn parties(&self) -> usize {
        self.raw.parties() as usize
    }
}

impl Runtime {
    /// Makes a barrier between processes for `parties` tasks or threads.
    ///
    /// # Errors
    /// [`is_usage`](Error::is_usage) for no party, or more than a million;
    /// [`is_store_full`](Error::is_store_full) when there is no room, `is_shutdown` after the
    /// runtime's end.
    pub fn shared_barrier(&self, parties: usize) -> Result<SharedBarrier> {
        let count = u32::try_from(parties)
            .ok()
            .filter(|n| (1..=RawBarrier::<CellMemory>::MAX_PARTIES).contains(n));
        let Some(count) = count else {
            return Err(Error::usage(format!(
                "a barrier has 1 to {} parties, not {parties}",
                RawBarrier::<CellMemory>::MAX_PARTIES
            )));
        };
        let cell = Cell::create(self.engine(), KIND, LAYOUT, &[], 0)?;
        RawBarrier::init(cell.memory.clone(), 0, 0, count);
        Ok(SharedBarrier::new(cell))
    }
}

impl fmt::Debug for SharedBarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedBarrier({} parties)", self.parties())
    }
}

super::cell::travels! { SharedBarrier, KIND, LAYOUT }
