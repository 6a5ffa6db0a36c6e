//! The common parts of all processes of Mobula, on every engine.
//!
//! Users depend on the crate `mobula`, which re-exports what they need.
//!
//! * [`Engine`]: the operations that a process can ask for, calls and their options.
//! * `handles`: handles of objects, and values on their way.
//! * [`Registry`]: the remote functions of the program.
//! * [`message`] and [`Value`]: the messages and the values that travel.
//! * [`transport`]: rings, doorbells, mailboxes, the wire format, and the socket that brings
//!   descriptors.
//! * [`frames`]: messages over a stream, to a peer in another language.
//! * [`sync`]: locks between processes.
//! * [`waiting`]: the time that threads spin before they sleep, and the work that they do at once.

mod argument;
mod decoded;
mod engine;
mod error;
pub mod frames;
mod handles;
mod id_map;
mod ids;
pub mod message;
mod messagepack;
mod node;
mod options;
mod progress;
mod promise;
mod python;
mod registry;
mod resources;
mod shape;
pub mod sync;
mod threads;
pub mod transport;
mod value;
pub mod waiting;

use handles::{lower, object_handle, park, payload, released, waiters};
pub use transport::{doorbell, link, mailbox, primitive, ring, wire};

pub use argument::Argument;
pub use decoded::{AnyValue, Decoded};
pub use engine::{
    ActorSpec, Actors, Admission, Awaited, BATCH_TIME, Call, CallArg, Control, Engine, ObjectStore,
    Queues, SharedMemory, Stats, readable,
};
pub use error::{Error, Result};
pub use id_map::IdMap;
pub use ids::{Attempt, FunctionIndex, MaybeRun, ObjectId, TaskSlot, WorkerId};
pub use lower::{INLINE_LIMIT, INLINE_TOTAL, Placed, lower_attachments, lower_call, place, put};
pub use node::{NodeInfo, ProcessName, node, set_node};
pub use object_handle::ObjectHandle;
pub use options::{ActorOptions, CallOptions, CancelOptions, TaskOptions};
pub use park::{current_thread_waker, wait as park_until};
pub use payload::{ArrayAttachment, Attachment, Payload};
pub use progress::TaskProgress;
pub use python::{PYTHON, PythonCall, python_arguments};
pub use registry::{Gathered, IndexCell, Input, Inputs, Registered, Registry, RemoteFn, Role};
pub use released::{Mark, Released};
pub use resources::{Amount, CPUS, Demand, MEMORY, Resources};
pub use shape::Shape;
pub use value::{
    Body, Format, IncompleteRange, Outcome, PartRange, SharedKind, TypeTag, Value, WireAttachment,
};
