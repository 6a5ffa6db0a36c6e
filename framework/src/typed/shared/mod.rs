//! State that processes share and change: arrays in parts, atomics, locks.
//!
//! Each handle here is a ref to an object whose bytes are never read as a value. A handle travels
//! inside of values like other refs. When a process decodes it, the process maps its memory.

mod array;
mod atomics;
mod element;
mod handle;
mod lent;
mod locks;
mod part;
mod split;
mod tile;

pub use array::SharedArray;
pub use atomics::AtomicArray;
pub use element::{Shape, SharedElement};
pub use locks::{
    OwnedMutexGuard, OwnedReadGuard, OwnedWriteGuard, SharedBarrier, SharedCondvar, SharedData,
    SharedMutex, SharedMutexGuard, SharedOnce, SharedPermit, SharedReadGuard, SharedRwLock,
    SharedSemaphore, SharedWriteGuard,
};
pub use mobula_store::TileView;
pub use part::{IncompletePart, OpenPart, Part, lend_part};
pub use tile::{OpenTile, Tile, lend_tile};
