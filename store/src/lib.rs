//! The shared-memory store of Mobula: segments, allocation, zero-copy arrays and the encoding of
//! values.
//!
//! A *segment* is one sparse memory file. The process that produces it allocates *extents* inside
//! it through a [`Heap`], fills them through a writable mapping, and seals them. From then on all
//! processes, the producer included, see their bytes as [`Block`]s and [`Array`]s in read-only
//! mappings.
//!
//! # Threads
//!
//! [`Heap::copy`] and [`Heap::reserve`] let up to three further threads help with megabytes of
//! memory. They run only copies and system calls, and have ended when the call returns. There are
//! no other threads, and no lock is held over a system call.
//!
//! # Whose promise
//!
//! The types here ensure all that one process can check: bounds, alignment, bit patterns, the right
//! to write, free memory. They also ensure that a file holds objects or a mailbox but not both. Two
//! promises are up to the engine that uses this crate, since no process can check them alone:
//!
//! - A segment has one producer. Only that process makes a [`Heap`] of it, and only that process
//!   writes, except for shared extents.
//! - A sealed extent that was adopted is freed ([`Heap::free`]) only after the last lease on it has
//!   ended, in every process. These leases are the *pins* of the design. A lease that is passed to
//!   [`Segments::resolve`], [`Heap::block`], [`Heap::region`] or [`Writables::open`] stands for
//!   such a pin.
//!
//! The `SAFETY` comments call them *one producer* and *pinned while leased*. Two more are for
//! extents that were [reserved as shared](Heap::reserve_shared), for which other processes get the
//! writable descriptor:
//!
//! - *One use*: such an extent is never read as a [`Block`] until it is not shared any more, and
//!   [`Writables::close`] has been called wherever it was open. A byte of it is either used as a
//!   part of one kind of atomic, or is lent.
//! - *Lent once*: a caller of [`Region::lend`] or [`Region::lend_tile`] has those elements alone,
//!   among all processes, until the result is dropped. Or it only reads them, like all others.
//!
//! # Keeping the promises
//!
//! Each function that rests on a promise names it and takes an [`EnginePromise`], which only
//! `unsafe` code can make. So a program that depends on this crate breaks none with safe code. The
//! crates that make one say in their `promise.rs` how each promise is kept. These are `protocol`,
//! `worker`, `framework` and the benchmarks.
//!
//! The store still checks all that one process can check. A [`Heap`] knows which extents are
//! shared, so in the producer an extent is never written and read as an object at the same time.

mod byte_count;
mod error;
pub mod limits;
mod location;

mod budget;
mod create;
mod file;
mod fork;
mod map;
mod names;
pub mod signals;
mod ticks;
mod usage;
mod words;

mod block;
mod segments;

mod process;

mod atomic_slice;
mod atomics;
mod region;
mod sharing;
mod writables;

mod building;
mod commit;
mod copying;
mod extents;
mod heap;
mod numbers;
mod ranges;
mod threads;

mod array;
mod plain;
mod promise;

pub mod codec;
pub mod descriptors;

pub use array::Array;
pub use atomic_slice::AtomicSlice;
pub use atomics::{AtomicF32, AtomicF64, SharedAtomic};
pub use block::Block;
pub use budget::{Budget, Capacity};
pub use building::{Building, Extent};
pub use create::Backing;
pub use error::StoreError;
pub use file::{SegmentFile, shared_memory_free};
pub use fork::is_forked_child;
pub use heap::Heap;
pub use location::{Lease, Loc, SegmentId};
pub use numbers::{NumberHasher, NumberMap};
pub use plain::Plain;
pub use process::{Lifelines, at_exit, end_with, kill_group, leave_terminal};
pub use promise::EnginePromise;
pub use region::{Lent, LentRef, LentTile, Region, SharedRef, TileView};
pub use segments::{Mapped, Segments};
pub use sharing::is_cell;
pub use ticks::ticks;
pub use words::SharedWords;
pub use writables::Writables;
