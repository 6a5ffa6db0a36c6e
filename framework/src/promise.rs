//! The promise of the engine, as the driver and the typed surface keep it.
#![expect(
    unsafe_code,
    reason = "the one place in this crate that vouches for what the compiler does not check"
)]

use mobula_store::EnginePromise;

/// For functions of the store, and for those of the worker's crate that lead there.
// SAFETY: this crate passes it on to such functions only; no public item gives it out. The promises
// are those of `mobula_store`:
// * One producer: `engines/processes/workers/spawn.rs` gives the writable descriptors of a segment
//   and a mailbox to the one worker that they were made for, and so does
//   `engines/processes/workers/threads.rs`. `engines/processes/workers/descriptors.rs` gives the
//   descriptor of a segment to processes that write shared memory there, in messages by which they
//   can only put it into `Writables`.
// * Pinned while leased: a lease is an `ObjectHandle`, for which the scheduler holds a ref, or the
//   handle that adopted an extent. The scheduler frees an object when it has no refs and no pins
//   (`scheduler/counts.rs`); `engines/processes/peers/effects.rs` frees what it says and nothing
//   else. `engines/processes/peers/recovery.rs` opens locks while the scheduler's lock is held, so
//   that nothing is freed meanwhile. `engines/processes/memory/orphans.rs` punches pages that no
//   living object has, in segments whose producer is dead; one in threads counts as dead when it
//   has neither handles nor extents.
// * One use: `SharedMemory::region` takes its location from `ObjectHandle::shared_memory`,
//   `readable` refuses values of format `Shared`, and `engines/processes/peers/closing.rs` waits
//   until all processes have closed such memory before it is an object, or free. Which atomics lie
//   where is decided by the object's format and tag, which `SharedHandle` and
//   `engines/processes/peers/recovery.rs` look at.
// * Lent once: `typed/shared/part.rs` lends what a `Part` stands for, of which the scheduler has
//   lent each element once (`scheduler/lending.rs`). `typed/shared/locks/protected.rs` lends what
//   the guard of a lock protects: guards exist while the lock's words say so.
pub(crate) const ENGINE: EnginePromise = unsafe { EnginePromise::new() };
