//! The promise of the engine, for code that all processes share.
#![expect(
    unsafe_code,
    reason = "the one place in this crate that vouches for what the compiler does not check"
)]

use mobula_store::EnginePromise;

/// The promise for functions of the store, and for functions of this crate that lead to them.
// SAFETY: this crate passes it on to such functions only; no public item gives it out. The promises
// are those of `mobula_store`:
// * One producer: this crate makes no heap and maps no segment. It allocates in the heap that the
//   engine of this process gives (`ObjectStore::heap`).
// * Pinned while leased: a lease is an `ObjectHandle`, or the handle that adopted an extent
//   (`handles/lower.rs`). The engine keeps an object as long as this process has a handle of it.
// * One use: `SharedMemory::region` takes its location from `ObjectHandle::shared_memory`, and
//   `engine::readable_with` refuses values of format `Shared`.
// * Lent once: nothing here lends.
pub(crate) const ENGINE: EnginePromise = unsafe { EnginePromise::new() };
