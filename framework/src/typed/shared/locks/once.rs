//! Something that is done once, by one of many processes.

use std::fmt;

use mobula_protocol::{Result, SharedKind, sync::RawOnce};

use super::cell::{Cell, CellMemory, Layout};
use crate::Runtime;

const LAYOUT: Layout = Layout {
    words: RawOnce::<CellMemory>::WORDS,
    futexes: RawOnce::<CellMemory>::FUTEXES,
};

const KIND: (SharedKind, u64) = (SharedKind::Once, 0);

/// Something that is done once among all processes: one does it, the others wait for that.
///
/// If the process that is at it dies, or panics, the next one does it.
///
/// A task that does it has its worker for itself as always, unless `f` waits for something. A task
/// that waits for another lets others run on its worker.
#[derive(Clone)]
pub struct SharedOnce {
    cell: Cell,
    raw: RawOnce<CellMemory>,
}

impl SharedOnce {
    fn new(cell: Cell) -> SharedOnce {
        SharedOnce {
            raw: RawOnce::new(cell.memory.clone(), 0, 0),
            cell,
        }
    }

    /// Returns when it is done: by this call, which says `true` then, or by another.
    ///
    /// # Errors
    /// [`is_usage`](mobula_protocol::Error::is_usage): `f` itself calls this.
    /// [`is_shutdown`](mobula_protocol::Error::is_shutdown): the runtime ended while another was at
    /// it.
    pub fn call_once(&self, f: impl FnOnce()) -> Result<bool> {
        if self.raw.is_done() {
            return Ok(false);
        }
        let holder = self.cell.this_thread();
        self.raw
            .call(holder, self.cell.waiting(None), f)
            .map_err(|error| self.cell.not_acquired("the shared once", error))
    }

    /// Whether it is done: one load.
    pub fn is_done(&self) -> bool {
        self.raw.is_done()
    }
}

impl Runtime {
    /// Makes something that is done once.
    ///
    /// # Errors
    /// [`is_store_full`](mobula_protocol::Error::is_store_full) when there is no room,
    /// `is_shutdown` after the runtime's end.
    pub fn shared_once(&self) -> Result<SharedOnce> {
        Cell::create(self.engine(), KIND, LAYOUT, &[], 0).map(SharedOnce::new)
    }
}

impl fmt::Debug for SharedOnce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedOnce(done: {})", self.is_done())
    }
}

super::cell::travels! { SharedOnce, KIND, LAYOUT }
