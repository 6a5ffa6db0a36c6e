//! The engine's promise to the store, and how a worker keeps it.
#![expect(
    unsafe_code,
    reason = "the one place in this crate that vouches for what the compiler does not check"
)]

use mobula_store::EnginePromise;

/// For functions of the store, and for functions of this crate that lead there.
// SAFETY: this crate passes it on to such functions only; no public item gives it out. The promises
// are those of `mobula_store`:
// * One producer: `process/worker.rs` makes the one heap of the segment whose writable descriptor
//   the driver gave to this worker alone; `process/mod.rs` has it and the mailbox, which both sides
//   see as words. `process/control.rs` gives files of others' segments to `Writables` where they
//   are for writing (`link/mailbox.rs` has their descriptors from the driver). The driver made all
//   those files and never cuts them.
// * Pinned while leased: a lease is an `ObjectHandle`, or the handle that adopted an extent
//   (`process/tasks.rs`), and the driver keeps an object as long as this process has told it of a
//   handle (`process/table.rs`). A worker in threads ends when it has neither handles nor extents,
//   or when nobody takes its memory back any more (`process/in_threads.rs`). `process/lanes.rs`
//   frees what the driver says, which says so when nothing pins the object.
// * One use: `process/engine/shared_memory.rs` takes locations from `ObjectHandle::shared_memory`.
//   An object that was shared memory is announced when all processes have closed it
//   (`process/control.rs` answers that this one has).
// * Lent once: nothing here lends.
pub(crate) const ENGINE: EnginePromise = unsafe { EnginePromise::new() };
