//! Task-parallel remote functions over worker processes and one shared object store.
//!
//! Mobula runs many pieces of work, most of them on one large data set: a parameter sweep,
//! resampling, simulation, image or text processing, scoring. [`#[remote]`](remote) marks
//! functions. Worker processes run their calls, and read the data where it lies in shared memory. A
//! call that crashes, leaks or runs native code that is not thread-safe harms one worker, not the
//! program.
//!
//! * [First program](#first-program)
//! * [How to choose](#how-to-choose)
//! * [Tasks and results](#tasks-and-results)
//! * [State that changes](#state-that-changes)
//! * [Failures](#failures)
//! * [Workers are processes](#workers-are-processes)
//! * [Tests and debugging](#tests-and-debugging)
//! * [Features](#features)
//! * [Limits](#limits)
//!
//! # First program
//!
//! One line runs a function on a thousand items, on all cores:
//!
//! ```
//! use mobula::prelude::*;
//!
//! /// Returns the steps of `n` to 1 by halving even numbers, and by `3 n + 1` for odd ones.
//! #[remote]
//! fn steps(n: u64) -> u32 {
//!     let next = |n: &u64| (*n > 1).then(|| if n % 2 == 0 { n / 2 } else { 3 * n + 1 });
//!     std::iter::successors(Some(n), next).skip(1).count() as u32
//! }
//!
//! #[mobula::main]
//! fn main() -> mobula::Result<()> {
//!     let rt = Runtime::start()?; // one worker process for each core
//!     let steps = rt.map((0..1000).map(steps::remote)).get()?;
//!     assert_eq!((steps[1], steps[27], steps.len()), (0, 111, 1000));
//!     Ok(())
//! }
//! ```
//!
//! Data that many calls read goes into the store once. The calls take a ref of it, and read it in
//! place:
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
//!     let samples = rt.put(&vec![1.0; 100_000])?; // copied into shared memory, once
//!     let scores = rt.map((0..8).map(|k| score::remote(&samples, f64::from(k)))).get()?;
//!     let best = scores.into_iter().fold(f64::INFINITY, f64::min);
//!     assert_eq!(best, 0.0);
//!     Ok(())
//! }
//! ```
//!
//! # How to choose
//!
//! | The work | The way |
//! | --- | --- |
//! | one function, many items | [`Runtime::map`], [`Runtime::map_fn`] |
//! | calls that need results of other calls | [`UnspawnedCall::spawn`], and refs as arguments |
//! | results that are combined into one | [`Map::fold`], [`Map::reduce`], [`Map::tree_reduce`] |
//! | results that lead to further calls | [`Runtime::as_completed`] |
//! | a value that many calls read | [`Runtime::put`]; [`Runtime::put_with`] and [`Array`] build large ones in place |
//! | a function whose results come one by one | `-> impl Iterator`, an [`ObjectStream`] |
//! | an array that many calls write, each its own part | [`SharedArray`] |
//! | counters and sums that all calls change | [`AtomicArray`] |
//! | a value that all calls change as a whole | [`SharedMutex`], [`SharedRwLock`] |
//! | state with methods, or a type that is not `Send` | an actor: [`Actor`], [`ActorPool`] |
//! | values that go from tasks to tasks | [`Queue`] |
//! | tasks that meet, or that are to be few at a time | [`SharedBarrier`], [`SharedCondvar`], [`SharedSemaphore`], [`SharedOnce`] |
//! | calls that use several cores, or much memory | [`UnspawnedCall::num_cpus`], [`UnspawnedCall::memory`] |
//! | code in Python, on a Ray cluster | [`ray::python`] |
//! | a value that each worker makes once, such as a model | [`#[worker_local]`](macro@worker_local) |
//!
//! # Tasks and results
//!
//! `score(..)` is still the function. `score::remote(..)` makes a call, an [`UnspawnedCall`], which
//! does nothing until it is spawned: by `.spawn()`, [`Runtime::spawn`] or [`Runtime::spawn_all`].
//! The result is an [`ObjectRef`]. It is a future, and blocking code has [`get`](ObjectRef::get).
//!
//! A ref as an argument is a dependency. The call runs when its inputs are there, and no wait is
//! needed in between:
//!
//! ```
//! use mobula::prelude::*;
//!
//! #[remote]
//! fn squares(n: u64) -> Vec<u64> {
//!     (0..n).map(|i| i * i).collect()
//! }
//!
//! #[remote]
//! fn total(numbers: &[u64]) -> u64 {
//!     numbers.iter().sum()
//! }
//!
//! # fn main() -> mobula::Result<()> {
//! # mobula::init();
//! # let rt = Runtime::builder().workers(1).start()?;
//! let numbers = squares::remote(1000).spawn();
//! let total = total::remote(&numbers).spawn();
//! assert_eq!(total.get()?, 332_833_500);
//! # drop(rt);
//! # Ok(())
//! # }
//! ```
//!
//! [`#[remote]`](remote) says which parameters and results a function may have, and which options:
//! `retries`, `timeout`, `priority` and more. [`IntoArg`] says what a call takes. A task may spawn
//! tasks itself, see [`Runtime::current`]. [`Cancel`] ends tasks early.
//!
//! # State that changes
//!
//! Objects never change. State that changes is in a shared array, in atomics, behind a lock between
//! processes, or in an actor. The table above tells when to take which. The first three are used in
//! place, at the speed of private memory. The arguments and results of an actor travel as those of
//! functions.
//!
//! # Failures
//!
//! A task that fails, panics, or kills its worker fails its result with an [`Error`], and nothing
//! else. The error says what failed, where, and what to do. Its predicates tell the kinds of
//! failure apart. A task runs at most once, unless it has [`retries`](UnspawnedCall::retries).
//!
//! # Workers are processes
//!
//! Workers are further processes of the same program. They run `main` up to [`init`], and nothing
//! behind it. [`#[mobula::main]`](main) calls `init` first. At most one task runs in a worker at
//! any moment, on a thread that the worker chooses. So libraries that are not thread-safe are safe,
//! and no thread-local state is shared with the driver.
//!
//! Each worker has statics of its own. A `OnceLock` or a `LazyLock` that `main` fills is empty in
//! tasks. Three ways lead into a worker:
//!
//! * an argument of the remote function, which is a ref if many calls use it;
//! * an environment variable ([`Builder::worker_env`]);
//! * a function of [`worker_setup!`], which each worker runs before its first task. It has the
//!   arguments of the program, since a worker is started with the same ones.
//!
//! ```standalone_crate
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
//! A value that is expensive to make is made once in each worker by
//! [`#[worker_local]`](macro@worker_local). [`worker_teardown!`] registers functions that a worker
//! calls at its end.
//!
//! # Tests and debugging
//!
//! Tests take [`#[mobula::test]`](test) in place of `#[test]`. With `MOBULA_ENGINE=inline`, or
//! [`EngineKind::inline`], each call runs when it is spawned, in the program itself. Then there is
//! one stack and one order, and breakpoints work as usual.
//!
//! # Features
//!
//! | Feature | Adds |
//! | --- | --- |
//! | `ndarray-0_16`, `ndarray-0_17` | for this version of `ndarray`: `ArrayView` parameters without a copy, `ArrayViewMut2` parameters for tiles, `put` of arrays and views with their shape |
//! | `ndarray` | the same as `ndarray-0_16` |
//! | `progress` | progress bars of maps and `as_completed`: `.progress("scoring")` |
//! | `ray-job` | `MOBULA_ENGINE=ray-job:URL` and `EngineKind::ray_job`: the program as a job of a Ray cluster, from any machine |
//! | `stream` | [`ObjectStream`] as a stream, remote functions that return `impl Stream`, `stream` of queues, maps and `as_completed`: for `futures::Stream` and the crates that build on it |
//!
//! One program may use both versions of `ndarray`. Then [`NdArray`] and [`SharedArray::seal_nd`]
//! give views and arrays of the version that their [`NdDim`] is from.
//!
//! # Limits
//!
//! * Mobula runs on Linux 5.3 or newer (for pidfds), on 64-bit processors, on one machine.
//! * The store is in memory. It does not spill to disk, and a full store is an error
//!   ([`Error::is_store_full`]).
//! * Remote functions are free functions, or methods of an actor, without type parameters.
//! * Arguments and results are serde types that borrow nothing, beside the borrows that `#[remote]`
//!   lists. They nest at most 128 levels deep.
//! * A worker runs one task at a time. So the number of workers, 4,096 at most, bounds the
//!   parallelism.
//! * A call from the driver costs about 1 µs. So does a plain call that a task makes and waits for
//!   in `get`, because it runs within its caller. Another call of a task costs about 10 µs. A map
//!   sends short calls in batches, which cost less for each.

#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(target_os = "linux"))]
compile_error!(
    "Mobula runs on Linux only so far: it needs pidfds, futexes between processes and memory files"
);

// The unit tests use the macros, whose output names the crate.
#[cfg(test)]
extern crate self as mobula;

mod bars;
mod cluster_address;
mod config;
mod current;
mod engine_kind;
mod engines;
mod harness;
mod init;
mod json;
mod node;
mod promise;
#[cfg(feature = "ray-job")]
mod ray_job;
mod resources;
mod runtime;
mod scheduler;
mod setup;
mod typed;
mod worker_table;

pub use config::Pin;
pub use engine_kind::EngineKind;
pub use init::init;
pub use mobula_macros::{main, remote, test, worker_local};
pub use mobula_protocol::{CancelOptions, Error, PartRange, Result, TaskProgress};
pub use mobula_store::{Array, AtomicF32, AtomicF64, Plain, SharedAtomic};
pub use mobula_worker::{
    WorkerLocal,
    context::{Progress, TaskContext, TaskId},
};
pub use node::Node;
pub use runtime::{Builder, Runtime, StoreInfo};
pub use typed::{
    Actor, ActorCall, ActorId, ActorPool, ActorRef, ArrayBuild, ArrayChunks, ArraySlice,
    AsCompleted, AtomicArray, Cancel, CancelOnDrop, Elements, IncompletePart, IntoArg, ItemRefs,
    JoinOne, Joinable, Map, MapFold, MapFuture, MapIter, MapUnordered, ObjectRef, ObjectStream,
    OpenPart, OpenTile, OwnedMutexGuard, OwnedReadGuard, OwnedWriteGuard, Part, PoolMap,
    PoolMapUnordered, Put, Queue, QueueIter, Shape, SharedArray, SharedBarrier, SharedCondvar,
    SharedData, SharedElement, SharedMutex, SharedMutexGuard, SharedOnce, SharedPermit,
    SharedReadGuard, SharedRwLock, SharedSemaphore, SharedWriteGuard, Tile, TreeReduce,
    UnspawnedCall, UnspawnedStream, Value, check_cancelled, context, how, is_cancelled,
};
#[cfg(feature = "stream")]
pub use typed::{AsCompletedStream, MapStream, MapUnorderedStream, QueueStream};
#[cfg(any(feature = "ndarray-0_16", feature = "ndarray-0_17"))]
pub use typed::{NdArray, NdDim};

/// # Examples
/// ```
/// use mobula::{OpenTile, TileView, prelude::*};
///
/// fn all<'a, V: TileView<'a, f64>>(tile: &'a mut OpenTile<f64>) -> V {
///     tile.view_mut()
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// # #[cfg(feature = "ndarray-0_16")] {
/// let array = rt.shared_array::<f64>((4, 6), 1.0)?;
/// let mut tile = array.tiles_mut(2, 3)?.remove(0).open()?;
/// let mut view: ndarray::ArrayViewMut2<'_, f64> = all(&mut tile);
/// view += 1.0;
/// # drop(tile);
/// # assert_eq!(array.with(|all| all.iter().sum::<f64>())?, 30.0);
/// # }
/// # Ok(())
/// # }
/// ```
pub use typed::TileView;

/// Names that most programs use: `use mobula::prelude::*;`. [`Array`] is not among them, so that
/// `ndarray::prelude::*` can stand beside it.
pub mod prelude {
    pub use crate::{
        ActorRef, ArrayBuild, Cancel, ObjectRef, ObjectStream, Runtime, UnspawnedCall, remote,
    };
}

/// What a program on a Ray cluster has beside other programs: [`EngineKind::ray`].
pub mod ray {
    pub use crate::typed::{PythonFunction, python};
}

#[doc(hidden)]
pub use typed::private as __private;
