//! Shared memory that begins with the words of a lock.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use mobula_store::{AtomicSlice, Building, Region};
use mobula_worker::{
    Client, Error, Result, SharedKind, WorkerId,
    primitive::Memory,
    sync::{Holder, LockError, Seat},
};

use crate::typed::shared::handle::SharedHandle;

/// What comes before the data: 64-bit words, then futexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) words: usize,
    pub(super) futexes: usize,
}

/// Data begins at a cache line of its own.
const LINE: usize = 64;

impl Layout {
    /// Where the data begins.
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

/// A handle of a lock's memory, in a process that knows who it is.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) handle: SharedHandle,
    pub(super) memory: CellMemory,
    process: WorkerId,
    seat: Seat,
}

impl Cell {
    /// New memory for a lock, with data that `fill` writes behind its words.
    ///
    /// # Errors
    /// No room, or the runtime is gone.
    pub(super) fn create(
        client: &Arc<dyn Client>,
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
        let handle = SharedHandle::create(client, kind, &[elements], bytes, fill)?;
        Cell::new(handle, layout)
    }

    /// Memory that came from elsewhere.
    ///
    /// # Errors
    /// It is too short, or the runtime is gone.
    pub(super) fn new(handle: SharedHandle, layout: Layout) -> Result<Cell> {
        let region = handle.region();
        let words = AtomicSlice::new(region, 0, layout.words);
        let futexes = AtomicSlice::new(region, layout.words * 8, layout.futexes);
        let (Some(words), Some(futexes)) = (words, futexes) else {
            return Err(Error::internal("the memory of a lock is too short"));
        };
        let (process, seat) = handle.client()?.process();
        Ok(Cell {
            memory: CellMemory { words, futexes },
            handle,
            process,
            seat,
        })
    }

    pub(super) fn region(&self) -> &Region {
        self.handle.region()
    }

    pub(super) fn this_thread(&self) -> Holder {
        Holder::this_thread(self.process, self.seat)
    }

    pub(super) fn detached(&self) -> Holder {
        Holder::detached(self.process, self.seat)
    }

    /// Calls `wait`, which may block for long, such that a task lets others run on its worker
    /// meanwhile: one of them may be the one that it waits for.
    pub(super) fn blocking<R>(&self, wait: impl FnOnce() -> R) -> R {
        let mut wait = Some(wait);
        let mut result = None;
        let mut run = || result = wait.take().map(|wait| wait());
        match self.handle.client() {
            Ok(client) => client.blocking(&mut run),
            Err(_) => run(),
        }
        match (result, wait) {
            (Some(result), _) => result,
            (None, Some(wait)) => wait(),
            (None, None) => unreachable!("what was called has given a result"),
        }
    }

    /// Takes something: at once, or by `wait`.
    pub(super) fn take<R>(
        &self,
        at_once: impl FnOnce() -> Result<R, LockError>,
        wait: impl FnOnce() -> Result<R, LockError>,
    ) -> Result<R, LockError> {
        match at_once() {
            Err(LockError::Busy) => self.blocking(wait),
            other => other,
        }
    }
}

/// `Serialize` and `Deserialize` of a lock without data.
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
