//! Task-parallel remote functions over worker processes and one shared object store.
//!
//! Annotate functions with [`#[remote]`](remote), put a large array into the store once, spawn
//! calls onto worker processes, and use their results, in further calls or by `.await` or `get`.
//! Workers read the array where it lies: nothing is copied.
//!
//! ```
//! use mobula::prelude::*;
//!
//! #[remote]
//! fn score(samples: &[f64], shift: f64) -> f64 {
//!     samples.iter().map(|x| (x - shift).powi(2)).sum()
//! }
//!
//! #[mobula::main]
//! fn main() -> mobula::Result<()> {
//!     let rt = Runtime::start()?;
//!     let samples = rt.put(&vec![1.0; 100_000])?;
//!     let scores = rt.spawn_all((0..8).map(|k| score::remote(&samples, f64::from(k))));
//!     let best = rt.get(&scores)?.into_iter().fold(f64::INFINITY, f64::min);
//!     assert_eq!(best, 0.0);
//!     Ok(())
//! }
//! ```
//!
//! # What to know
//!
//! * Workers are further processes of the same program. [`#[mobula::main]`](main) or [`init`] at
//!   the beginning of `main` makes that work, [`#[mobula::test]`](test) in tests.
//! * `score(..)` is still the function; `score::remote(..)` makes a call, which does nothing until
//!   `.spawn()`, `rt.spawn(..)` or `rt.spawn_all(..)`.
//! * A ref as an argument is a dependency: the call runs when its inputs are there. No wait is
//!   needed in between.
//! * Objects never change. State that changes is in an actor ([`Actor`]), in a [`SharedArray`] or
//!   an [`AtomicArray`], or behind a lock between processes ([`SharedMutex`]).
//! * Workers run `main` up to [`init`] and nothing behind it. A static that `main` sets there is
//!   empty in tasks. See [Statics](#statics).
//! * At most one task runs in a worker at any moment, on a thread of its own choice: libraries that
//!   do not bear threads are safe, thread-local state is not shared with the driver.
//! * A task that fails, panics or kills its worker fails its result, with an [`Error`] that says
//!   what happened, and nothing else.
//!
//! # Statics
//!
//! Each worker is a process with statics of its own. What `main` puts into a `OnceLock` or a
//! `LazyLock` reaches no task. Three ways lead there: an argument of the remote function (a ref of
//! what many calls use), an environment variable ([`Builder::worker_env`]), or a function of
//! [`worker_setup!`], which each worker runs before its first task. That function has the arguments
//! of the program, since a worker is started with the same ones.
//!
//! ```
//! use std::sync::OnceLock;
//!
//! use mobula::prelude::*;
//!
//! static LEVEL: OnceLock<usize> = OnceLock::new();
//! static SEED: OnceLock<u64> = OnceLock::new();
//!
//! fn set_up() {
//!     let _ = LEVEL.set(std::env::args().count());
//! }
//! mobula::worker_setup!(set_up);
//!
//! #[remote]
//! fn statics() -> (Option<usize>, Option<u64>) {
//!     (LEVEL.get().copied(), SEED.get().copied())
//! }
//!
//! #[mobula::main]
//! fn main() -> mobula::Result<()> {
//!     set_up();
//!     SEED.set(7).unwrap();
//!     let rt = Runtime::builder().workers(1).start()?;
//!     // The set-up function ran there too. `main` did not come as far as to set the other one.
//!     assert_eq!(rt.spawn(statics::remote()).get()?, (LEVEL.get().copied(), None));
//!     Ok(())
//! }
//! ```
//!
//! A value that is expensive to make, such as a model that is read from a file, is made once in each
//! worker: [`#[worker_local]`](macro@worker_local). [`worker_teardown!`] registers what a worker
//! does at its end.
//!
//! # Features
//!
//! | Feature | Adds |
//! | --- | --- |
//! | `ndarray-0_16`, `ndarray-0_17` | for this version of `ndarray`: `ArrayView` parameters without a copy, `ArrayViewMut2` parameters for tiles, `put` of arrays and views with their shape |
//! | `ndarray` | the same as `ndarray-0_16` |
//! | `stream` | [`ObjectStream`] as a stream, remote functions that return `impl Stream`, `stream` of queues, maps and `as_completed`: for `futures::Stream` and the crates that build on it |
//!
//! One program may use both versions of `ndarray`. Then [`NdArray`] and [`SharedArray::seal_nd`]
//! give views and arrays of the version that their [`NdDim`] is from.
//!
//! # Platform
//!
//! Linux 5.3 or newer (for pidfds), on 64-bit processors.

#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(target_os = "linux"))]
compile_error!(
    "Mobula runs on Linux only so far: it needs pidfds, futexes between processes and memory files"
);

// The unit tests use the macros, whose output names the crate.
#[cfg(test)]
extern crate self as mobula;

mod config;
mod current;
mod engine_kind;
mod engines;
mod harness;
mod init;
mod promise;
mod runtime;
mod scheduler;
mod setup;
mod typed;

pub use engine_kind::EngineKind;
pub use init::init;
/// # Example
/// ```
/// use mobula::prelude::*;
///
/// struct Model {
///     factor: u64,
///     calls: u64,
/// }
///
/// // `Model::load(path)`, say: once in each worker, at the first call there.
/// #[mobula::worker_local]
/// static MODEL: Model = Model { factor: 7, calls: 0 };
///
/// #[remote]
/// fn evaluate(n: u64) -> u64 {
///     MODEL.with(|model| {
///         model.calls += 1;
///         model.factor * n
///     })
/// }
///
/// #[mobula::main]
/// fn main() -> mobula::Result<()> {
///     let rt = Runtime::start()?;
///     let values = rt.map_fn(evaluate::remote, 0..1000).get()?;
///     assert_eq!(values[6], 42);
///     Ok(())
/// }
/// ```
pub use mobula_macros::worker_local;
pub use mobula_macros::{main, remote, test};
pub use mobula_protocol::{CancelOptions, Error, Lot, Result};
pub use mobula_store::{Array, AtomicF32, AtomicF64, Plain, SharedAtomic};
pub use mobula_worker::{
    WorkerLocal,
    context::{TaskContext, TaskId},
};
pub use runtime::{Builder, Runtime, StoreInfo};
pub use typed::{
    Actor, ActorCall, ActorId, ActorPool, ActorRef, ArrayBuild, ArrayChunks, ArraySlice,
    AsCompleted, AtomicArray, Cancel, CancelOnDrop, IntoArg, ItemRefs, JoinOne, Joinable, Map,
    MapFold, MapFuture, MapIter, MapUnordered, ObjectRef, ObjectStream, OpenPart, OpenTile,
    OwnedMutexGuard, OwnedReadGuard, OwnedWriteGuard, Part, PoolMap, PoolMapUnordered, Put, Queue,
    QueueIter, Shape, SharedArray, SharedBarrier, SharedCondvar, SharedData, SharedElement,
    SharedMutex, SharedMutexGuard, SharedOnce, SharedPermit, SharedReadGuard, SharedRwLock,
    SharedSemaphore, SharedWriteGuard, Tile, TileView, Torn, TreeReduce, UnspawnedCall,
    UnspawnedStream, Value, check_cancelled, context, how, is_cancelled,
};
#[cfg(feature = "stream")]
pub use typed::{AsCompletedStream, MapStream, MapUnorderedStream, QueueStream};
#[cfg(any(feature = "ndarray-0_16", feature = "ndarray-0_17"))]
pub use typed::{NdArray, NdDim};

/// What most programs use: `use mobula::prelude::*;`. Without [`Array`], so that
/// `ndarray::prelude::*` can stand beside it.
pub mod prelude {
    pub use crate::{
        ActorRef, ArrayBuild, Cancel, ObjectRef, ObjectStream, Runtime, UnspawnedCall, remote,
    };
}

#[doc(hidden)]
pub use typed::private as __private;
