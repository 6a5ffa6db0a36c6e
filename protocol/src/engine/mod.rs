//! What a process can ask for: the driver directly, a worker through its mailbox. Code that users
//! call is written once, against [`Engine`].
//!
//! An engine may lack a part of what there is: [`actors`](Engine::actors),
//! [`queues`](Engine::queues), [`shared_memory`](Engine::shared_memory). The error of
//! [`need_actors`](dyn Engine::need_actors) and its kin names what it lacks.

mod actors;
mod admission;
mod awaited;
mod control;
mod queues;
mod readable;
mod shared_memory;
mod store;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub use actors::{ActorSpec, Actors};
pub use admission::Admission;
pub use awaited::Awaited;
pub use control::{Control, Stats};
pub use queues::Queues;
pub use readable::readable;
pub(crate) use readable::{handles_of, readable_with};
pub use shared_memory::SharedMemory;
pub use store::ObjectStore;

use crate::{
    Error, Result,
    ids::{FunctionIndex, ObjectId},
    message::Args,
    object_handle::ObjectHandle,
    options::{CallOptions, CancelOptions},
    payload::Payload,
    value::{Value, WireAttachment},
};

/// How long a batch of short calls takes between processes of one machine.
pub const BATCH_TIME: Duration = Duration::from_millis(5);

/// An argument of a call that has not been submitted yet.
#[derive(Clone, Debug)]
pub enum CallArg {
    /// A value of the call's own.
    Value(Payload),
    /// An object, stored or pending.
    Object(Arc<ObjectHandle>),
    /// Many objects, for a parameter that takes a vector of values.
    Gather(Vec<Arc<ObjectHandle>>),
}

/// A call that has not been submitted yet.
#[derive(Clone, Debug)]
pub struct Call {
    /// The function.
    pub function: FunctionIndex,
    /// Its arguments.
    pub args: Args<CallArg>,
    /// Its own options, if it has any.
    pub options: CallOptions,
    /// The actor whose method the function is: the object that its constructor makes.
    pub actor: Option<Arc<ObjectHandle>>,
}

/// The engine as one process sees it.
pub trait Engine: std::fmt::Debug + Send + Sync + 'static {
    /// Itself, for what keeps it.
    fn this(&self) -> Arc<dyn Engine>;

    /// Starts a call. Does not fail: what is wrong with the call is the outcome of the object. Does
    /// not block, unless the engine has a limit of pending calls
    /// ([`admission`](Engine::admission)).
    fn submit(&self, call: Call) -> Arc<ObjectHandle>;

    /// Starts a call of something that limits its calls itself. Does not block.
    fn submit_now(&self, call: Call) -> Arc<ObjectHandle> {
        self.submit(call)
    }

    /// Starts several calls, or none in the place of an error. Adds their results to `entries`, in
    /// order. The first may begin before the iterator has given the last.
    fn submit_all(
        &self,
        calls: &mut dyn Iterator<Item = Result<Call>>,
        entries: &mut Vec<Arc<ObjectHandle>>,
    ) {
        entries.extend(calls.map(|call| match call {
            Ok(call) => self.submit(call),
            Err(error) => ObjectHandle::failed(error),
        }));
    }

    /// The handle of an object that something else keeps alive at the moment. `known` is its
    /// value, where the caller has it.
    fn handle(&self, id: ObjectId, known: Option<&Arc<Value>>) -> Arc<ObjectHandle>;

    /// As [`handle`](Engine::handle), for several objects: what `attachments` refer to, in order.
    fn handles(&self, attachments: &[WireAttachment]) -> Vec<Arc<ObjectHandle>> {
        let objects = attachments.iter().filter_map(WireAttachment::object);
        objects.map(|(id, known)| self.handle(id, known)).collect()
    }

    /// The last handle of an object in this process goes. Takes no lock that user code could
    /// be called under.
    fn release(&self, entry: &ObjectHandle);

    /// Nobody will ask for the result of this task, but its work is wanted: the end of the runtime
    /// waits for it. Takes no lock that user code could be called under.
    fn detach(&self, _: &ObjectHandle) {}

    /// A value or a call that leaves this process is about to refer to the object. An engine that
    /// keeps calls to itself tells the others of this one. May block until a call has ended that
    /// another thread of this process runs.
    fn publish(&self, _: &ObjectHandle) {}

    /// Makes objects of the elements of a result. The result is that of a call with the option
    /// [`split`](crate::TaskOptions::split), and may be pending. An element fails if the call does.
    fn split(&self, _result: &ObjectHandle, count: usize) -> Vec<Arc<ObjectHandle>> {
        vec![ObjectHandle::failed(Error::usage("this engine does not split results")); count]
    }

    /// Cancels the tasks that make these objects, as far as they have not ended. Does not wait for
    /// them. An engine whose tasks have ended when [`submit`](Engine::submit) returns does nothing.
    fn cancel(&self, _: &mut dyn Iterator<Item = &ObjectHandle>, _: CancelOptions) {}

    /// Makes sure that [`ObjectHandle::complete`] will be called soon. Once for each entry: see
    /// [`ObjectHandle::watch`].
    fn watch(&self, entry: &ObjectHandle);

    /// An entry that was watched is complete, or gone.
    fn unwatch(&self) {}

    /// May look for the outcome for some microseconds, on behalf of a future that would otherwise
    /// have to be woken.
    fn linger(&self, _: &ObjectHandle) {}

    /// All of these are going to be waited for, one after the other: where an answer takes a
    /// question, they can be asked at once.
    fn expect(&self, _entries: &mut dyn Iterator<Item = &ObjectHandle>) {}

    /// Blocks until what is awaited is known or the deadline has passed; `false` if it has.
    fn wait(&self, what: &dyn Awaited, deadline: Option<Instant>) -> bool;

    /// How many workers the runtime has, as it was asked for.
    fn workers(&self) -> usize;

    /// Whether calls can be placed on the machine of this name. An engine that has to ask a cluster
    /// says yes to all, and a call fails that names no machine of it.
    fn has_node(&self, name: &str) -> bool {
        name == crate::node()
    }

    /// How long a batch of short calls should take, so that its own cost does not matter.
    fn batch_time(&self) -> Duration {
        BATCH_TIME
    }

    /// Where objects are kept.
    fn store(&self) -> &dyn ObjectStore;

    /// A limit of pending calls, if the engine has one.
    fn admission(&self) -> Option<&dyn Admission> {
        None
    }

    /// Actors, if the engine has them.
    fn actors(&self) -> Option<&dyn Actors> {
        None
    }

    /// Queues, if the engine has them.
    fn queues(&self) -> Option<&dyn Queues> {
        None
    }

    /// Memory that processes write together, if the engine has it.
    fn shared_memory(&self) -> Option<&dyn SharedMemory> {
        None
    }

    /// The runtime as a whole, in the process that started it.
    fn control(&self) -> Option<&dyn Control> {
        None
    }
}

impl dyn Engine {
    /// The engine's actors.
    ///
    /// # Errors
    /// It has none (`is_usage`).
    pub fn need_actors(&self) -> Result<&dyn Actors> {
        self.actors()
            .ok_or_else(|| Error::usage("this engine has no actors"))
    }

    /// The engine's queues.
    ///
    /// # Errors
    /// It has none (`is_usage`).
    pub fn need_queues(&self) -> Result<&dyn Queues> {
        self.queues()
            .ok_or_else(|| Error::usage("this engine has no queues"))
    }

    /// The memory that processes of this engine write together.
    ///
    /// # Errors
    /// It has none (`is_usage`).
    pub fn need_shared_memory(&self) -> Result<&dyn SharedMemory> {
        self.shared_memory().ok_or_else(|| {
            Error::usage("this engine has no memory that processes share for writing")
        })
    }
}
