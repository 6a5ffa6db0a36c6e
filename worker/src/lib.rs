//! The worker side of Mobula: what runs inside a worker process, and what the driver shares with it.
//!
//! Users depend on the crate `mobula`, which re-exports what they need.

mod actor;
pub mod batch;
mod decoded;
mod error;
mod id_map;
mod ids;
mod payload;
mod promise;
mod registry;
mod shape;
mod value;

mod engine;
mod entry;
mod lower;
mod park;
mod released;
mod threads;
mod waiters;

pub mod bell;
pub mod link;
pub mod mailbox;
pub mod message;
mod options;
pub mod primitive;
pub mod ring;
pub mod sync;
pub mod wire;

mod process;

pub use actor::{ActorOptions, ActorSpec, ActorState, BorrowedHere};
pub use decoded::{AnyValue, Decoded};
pub use engine::{
    Actors, Awaited, Call, CallArg, Control, Engine, ObjectStore, Queues, SharedMemory, Stats,
    readable,
};
pub use entry::Entry;
pub use error::{Error, Result};
pub use id_map::IdMap;
pub use ids::{Attempt, FunctionIndex, ObjectId, TaskSlot, WorkerId};
pub use lower::{INLINE_LIMIT, INLINE_TOTAL, lower_call, put};
pub use options::{CallOptions, TaskOptions};
pub use park::{current_thread_waker, wait as park_until};
pub use payload::{Payload, Side, SideArray};
pub use process::{
    CANNOT_GO_ON, SHORT, WorkerSetup, block_on, call_here, enter_if_worker, set_up_here,
    setup_count, worker_engine,
};
pub use registry::{Gathered, IndexCell, Input, Inputs, Registered, Registry, RemoteFn, Role};
pub use released::Released;
pub use shape::Shape;
pub use value::{Body, Format, Item, Lot, Outcome, SharedKind, TornLot, TypeTag, Value};
