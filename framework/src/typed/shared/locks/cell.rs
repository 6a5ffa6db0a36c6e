//! Shared memory that begins with the words of a lock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use mobula_protocol::{
    Engine, Error, Result, SharedKind, WorkerId,
    primitive::Memory,
    sync::{Acquired, Cause, Ended, Holder, LockError, ProcessSlot, Sleep, Sleeper, Waiting},
};
use mobula_store::{AtomicSlice, Building, Region};

use super::errors::{deadline, not_acquired};
use crate::{promise::ENGINE, typed::shared::handle::SharedHandle};

/// The memory before the data: 64-bit words, then futexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) words: usize,
    pub(super) futexes: usize,
}

/// The alignment of the data in bytes: it begins at a cache line of its own.
const LINE: usize = 64;

impl Layout {
    /// Returns the offset of the data in bytes.
    pub(super) const fn data_at(self) -> usize {
        (self.words * 8 + self.futexes * 4).next_multiple_of(LINE)
    }
}

/// The words of one lock.
#[derive(Clone, Debug)]
pub(super) struct CellMemory {
    words: AtomicSlice<AtomicU64>,
    futexes: AtomicSlice<AtomicU32>,
}

impl Memory for CellMemory {
    type Word = AtomicU64;
    type Futex = AtomicU32;

    #[inline]
    fn words(&self) -> &[AtomicU64] {
        &self.words
    }

    #[inline]
    fn futex(&self, at: usize) -> &AtomicU32 {
        &self.futexes[at]
    }

    fn fence() {
        std::sync::atomic::fence(Ordering::SeqCst);
    }
}

/// A handle of a lock's memory, with the worker id and the slot of this process.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) handle: SharedHandle,
    pub(super) memory: CellMemory,
    process: WorkerId,
    slot: ProcessSlot,
}

impl Cell {
    /// Makes new memory for a lock, with a copy of `data` behind the lock's words.
    ///
    /// # Errors
    /// The store has no room, or the runtime has ended.
    pub(super) fn create(
        engine: &Arc<dyn Engine>,
        kind: (SharedKind, u64),
        layout: Layout,
        data: &[u8],
        elements: usize,
    ) -> Result<Cell> {
        let bytes = layout
            .data_at()
            .checked_add(data.len())
            .ok_or_else(|| Error::usage("a lock over more bytes than memory"))?;
        let fill = |building: &mut Building| {
            building.bytes_mut()[layout.data_at()..].copy_from_slice(data);
            Ok(())
        };
        let handle = SharedHandle::create(engine, kind, &[elements], bytes, fill)?;
        Cell::new(handle, layout)
    }

    /// Returns a handle of memory that came from another process or a value.
    ///
    /// # Errors
    /// The memory is too short, or the runtime has ended.
    pub(super) fn new(handle: SharedHandle, layout: Layout) -> Result<Cell> {
        let region = handle.region();
        let words = AtomicSlice::new(region, 0, layout.words, ENGINE);
        let futexes = AtomicSlice::new(region, layout.words * 8, layout.futexes, ENGINE);
        let (Some(words), Some(futexes)) = (words, futexes) else {
            return Err(Error::internal("the memory of a lock is too short"));
        };
        let (process, slot) = handle.engine()?.need_shared_memory()?.process();
        Ok(Cell {
            memory: CellMemory { words, futexes },
            handle,
            process,
            slot,
        })
    }

    pub(super) fn region(&self) -> &Region {
        self.handle.region()
    }

    pub(super) fn this_thread(&self) -> Holder {
        Holder::this_thread(self.process, self.slot)
    }

    pub(super) fn detached(&self) -> Holder {
        Holder::detached(self.process, self.slot)
    }

    /// Returns the limit and the way of a thread's wait. While a task sleeps, others run on its
    /// worker, since the task may wait for one of them.
    pub(super) fn waiting(&self, limit: Option<Duration>) -> Waiting<'_> {
        Waiting {
            deadline: limit.and_then(deadline),
            sleeper: Some(self),
        }
    }

    /// Acquires the lock for this thread with `take`. Returns the holder, and the cause if the lock
    /// is poisoned. `what` names the lock.
    ///
    /// # Errors
    /// The lock was not acquired.
    pub(super) fn acquire(
        &self,
        what: &str,
        limit: Option<Duration>,
        take: impl FnOnce(Holder, Waiting<'_>) -> Result<Acquired, LockError>,
    ) -> Result<(Holder, Option<Cause>)> {
        let holder = self.this_thread();
        let acquired = take(holder, self.waiting(limit));
        let acquired = acquired.map_err(|error| self.not_acquired(what, error))?;
        Ok((holder, acquired.cause()))
    }

    /// Prepares the wait of a future. The engine calls `wake_all` at the end of the runtime. It
    /// makes all futures of this process check again.
    ///
    /// # Errors
    /// The runtime has ended.
    pub(super) fn waits(&self, wake_all: fn()) -> Result<()> {
        let engine = self.handle.engine()?;
        let memory = engine.need_shared_memory()?;
        memory.waits(wake_all).map_err(|Ended| memory.why_ended())
    }

    /// Returns the error of a wait that came to
    /// [`LockError::Ended`](mobula_protocol::sync::LockError::Ended).
    pub(super) fn why_ended(&self) -> Error {
        match self.handle.engine() {
            Ok(engine) => match engine.need_shared_memory() {
                Ok(memory) => memory.why_ended(),
                Err(error) => error,
            },
            Err(error) => error,
        }
    }

    /// Returns the error for a lock that could not be acquired. `what` names the lock.
    pub(super) fn not_acquired(&self, what: &str, error: LockError) -> Error {
        match error {
            LockError::Ended => self.why_ended(),
            error => not_acquired(what, error),
        }
    }
}

impl Sleeper for Cell {
    fn sleep(&self, sleep: &mut dyn Sleep) -> Result<(), Ended> {
        let engine = self.handle.engine().map_err(|_| Ended)?;
        engine.shared_memory().ok_or(Ended)?.sleep(sleep)
    }
}

/// Implements `Serialize` and `Deserialize` for a lock without data.
macro_rules! travels {
    ($lock:ident, $kind:expr, $layout:expr) => {
        impl serde::Serialize for $lock {
            /// Works for values that go through Mobula only; elsewhere it is an error.
            fn serialize<S: serde::Serializer>(
                &self,
                serializer: S,
            ) -> std::result::Result<S::Ok, S::Error> {
                self.cell.handle.serialize::<$lock, S>(serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $lock {
            /// Works for values that go through Mobula only; elsewhere it is an error.
            fn deserialize<D: serde::Deserializer<'de>>(
                deserializer: D,
            ) -> std::result::Result<$lock, D::Error> {
                let (handle, _) = $crate::typed::shared::handle::SharedHandle::deserialize::<
                    $lock,
                    D,
                >(deserializer, $kind)?;
                $crate::typed::shared::locks::cell::Cell::new(handle, $layout)
                    .map($lock::new)
                    .map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(super) use travels;
