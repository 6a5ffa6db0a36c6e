//! The typed API that users call, on top of [`mobula_protocol::Engine`].
//!
//! In reading order, [`value`] and [`put`] define the values that can travel. [`arg`] defines the
//! values that each parameter takes. Users hold the types of [`call`], [`object_ref`] and
//! [`actor`]. Below them, [`codecs`] turn values into payloads and back. [`probe`] chooses a codec
//! for each type in a remote function's signature. [`flat`] is the table for code that is generic
//! over types.

mod actor;
mod admission;
mod arg;
mod array_build;
mod array_slice;
mod as_completed;
mod bound;
mod call;
mod cancel;
mod context;
mod join;
mod map;
mod object_ref;
mod object_stream;
mod put;
mod python;
mod queue;
mod runtime_api;
mod shared;
mod split;
mod value;

mod application_error;
mod bytes;
mod chunks;
mod codecs;
mod engine;
mod flat;
mod mismatch;
mod place;
mod probe;
mod turn;
mod wait;

#[cfg(any(feature = "ndarray-0_16", feature = "ndarray-0_17"))]
mod nd;

pub mod private;

#[cfg(test)]
mod testing;
// A macro of this crate makes the types beside remote functions. Only in other crates does that
// exempt them from the first lint. The second lint does not know about levels of codecs.
#[cfg(test)]
#[allow(non_camel_case_types, clippy::needless_borrow)]
mod tests;

pub use actor::{Actor, ActorCall, ActorId, ActorPool, ActorRef, PoolMap, PoolMapUnordered};
pub use arg::IntoArg;
pub use array_build::ArrayBuild;
pub use array_slice::{ArrayChunks, ArraySlice};
pub use as_completed::AsCompleted;
#[cfg(feature = "stream")]
pub use as_completed::AsCompletedStream;
pub use call::UnspawnedCall;
pub use cancel::{Cancel, CancelOnDrop};
pub use context::{check_cancelled, context, is_cancelled};
pub use join::{JoinOne, Joinable};
pub use map::{Map, MapFold, MapFuture, MapIter, MapUnordered, TreeReduce};
#[cfg(feature = "stream")]
pub use map::{MapStream, MapUnorderedStream};
#[cfg(any(feature = "ndarray-0_16", feature = "ndarray-0_17"))]
pub use nd::{NdArray, NdDim};
pub use object_ref::ObjectRef;
pub use object_stream::{ItemRefs, ObjectStream, UnspawnedStream};
pub use put::{Put, how};
pub use python::{PythonFunction, python};
#[cfg(feature = "stream")]
pub use queue::QueueStream;
pub use queue::{Queue, QueueIter};
pub use shared::{
    AtomicArray, IncompletePart, OpenPart, OpenTile, OwnedMutexGuard, OwnedReadGuard,
    OwnedWriteGuard, Part, Shape, SharedArray, SharedBarrier, SharedCondvar, SharedData,
    SharedElement, SharedMutex, SharedMutexGuard, SharedOnce, SharedPermit, SharedReadGuard,
    SharedRwLock, SharedSemaphore, SharedWriteGuard, Tile, TileView,
};
pub use split::Elements;
pub use value::Value;
