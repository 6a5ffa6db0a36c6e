//! The operations that a process can ask for. The driver does them directly, a worker through its
//! mailbox. Code that users call is written once, against [`Engine`].
//!
//! An engine may lack [`actors`](Engine::actors), [`queues`](Engine::queues) or
//! [`shared_memory`](Engine::shared_memory). The error of [`need_actors`](dyn Engine::need_actors)
//! and the like names the missing part.

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
    argument::{Args, Argument},
    ids::{FunctionIndex, ObjectId},
    object_handle::ObjectHandle,
    options::{CallOptions, CancelOptions},
    payload::Payload,
    value::{Value, WireAttachment},
};

/// The planned duration of a batch of short calls between processes of one machine.
pub const BATCH_TIME: Duration = Duration::from_millis(5);

/// An argument of a call that has not been submitted yet. Its objects are stored or pending.
pub type CallArg = Argument<Payload, Arc<ObjectHandle>>;

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
    /// Returns a handle that keeps the engine alive.
    fn this(&self) -> Arc<dyn Engine>;

    /// Starts a call. Does not fail: an error of the call is the outcome of the object. Does not
    /// block, unless the engine has a limit of pending calls ([`admission`](Engine::admission)) or
    /// runs calls on this thread.
    fn submit(&self, call: Call) -> Arc<ObjectHandle>;

    /// Starts a call of a caller that limits its calls itself. The limit of pending calls does not
    /// apply.
    fn submit_now(&self, call: Call) -> Arc<ObjectHandle> {
        self.submit(call)
    }

    /// Starts several calls. Adds their results to `entries`, in order. An error of the iterator
    /// adds a failed object. The first call may begin before the iterator has given the last.
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

    /// Returns the handle of an object that something else keeps alive at the moment. `known` is
    /// its value, if the caller has it.
    fn handle(&self, id: ObjectId, known: Option<&Arc<Value>>) -> Arc<ObjectHandle>;

    /// Returns the handles of the objects that `attachments` refer to, in order. See
    /// [`handle`](Engine::handle).
    fn handles(&self, attachments: &[WireAttachment]) -> Vec<Arc<ObjectHandle>> {
        let objects = attachments.iter().filter_map(WireAttachment::object);
        objects.map(|(id, known)| self.handle(id, known)).collect()
    }

    /// Releases an object whose last handle in this process is dropped. Takes no lock under which
    /// user code could be called.
    fn release(&self, entry: &ObjectHandle);

    /// Marks a task as detached. No caller will ask for its result, but the end of the runtime
    /// waits for it. Takes no lock under which user code could be called.
    fn detach(&self, _: &ObjectHandle) {}

    /// Prepares an object for a value or a call that leaves this process and refers to it. An
    /// engine that keeps calls to itself tells the driver of the call that makes the object. May
    /// block until a call has ended that another thread of this process runs.
    fn publish(&self, _: &ObjectHandle) {}

    /// Makes objects of the elements of a result. Its call has the option
    /// [`split`](crate::TaskOptions::split). The result may be pending. The elements fail if the
    /// call fails.
    fn split(&self, _result: &ObjectHandle, count: usize) -> Vec<Arc<ObjectHandle>> {
        vec![ObjectHandle::failed(Error::usage("this engine does not split results")); count]
    }

    /// Cancels the tasks that make these objects, unless they have ended. Does not wait for them.
    /// An engine whose tasks have ended when [`submit`](Engine::submit) returns does nothing.
    fn cancel(&self, _: &mut dyn Iterator<Item = &ObjectHandle>, _: CancelOptions) {}

    /// Makes sure that the engine calls [`ObjectHandle::complete`] soon after the object is ready.
    /// Is called once for each handle: see [`ObjectHandle::watch`].
    fn watch(&self, entry: &ObjectHandle);

    /// Records that a watched handle is complete or dropped.
    fn unwatch(&self) {}

    /// May poll for the outcome for some microseconds, on behalf of a future. If the outcome comes,
    /// the future needs no wake-up.
    fn linger(&self, _: &ObjectHandle) {}

    /// Announces that the caller will wait for all these objects, one after the other. An engine
    /// that has to ask for outcomes can ask for all at once.
    fn expect(&self, _entries: &mut dyn Iterator<Item = &ObjectHandle>) {}

    /// Blocks until the wait for `what` is over or the deadline has passed. Returns `false` if the
    /// deadline has passed.
    fn wait(&self, what: &dyn Awaited, deadline: Option<Instant>) -> bool;

    /// Returns the number of workers that the settings ask for.
    fn workers(&self) -> usize;

    /// Returns whether calls can be placed on the machine of this name. An engine that would have
    /// to ask a cluster returns `true`, and a call that names no machine of the cluster fails.
    fn has_node(&self, name: &str) -> bool {
        name == crate::node()
    }

    /// Returns the time that a batch of short calls should take, so that the cost of a batch is
    /// small beside it.
    fn batch_time(&self) -> Duration {
        BATCH_TIME
    }

    /// Returns the engine's store.
    fn store(&self) -> &dyn ObjectStore;

    /// Returns the limit of pending calls, if the engine has one.
    fn admission(&self) -> Option<&dyn Admission> {
        None
    }

    /// Returns the operations on actors, if the engine has actors.
    fn actors(&self) -> Option<&dyn Actors> {
        None
    }

    /// Returns the operations on queues, if the engine has queues.
    fn queues(&self) -> Option<&dyn Queues> {
        None
    }

    /// Returns the operations on memory that processes write together, if the engine has such
    /// memory.
    fn shared_memory(&self) -> Option<&dyn SharedMemory> {
        None
    }

    /// Returns the operations on the whole runtime, in the process that started it.
    fn control(&self) -> Option<&dyn Control> {
        None
    }
}

impl dyn Engine {
    /// Returns the operations on actors.
    ///
    /// # Errors
    /// The engine has no actors (`is_usage`).
    pub fn need_actors(&self) -> Result<&dyn Actors> {
        self.actors()
            .ok_or_else(|| Error::usage("this engine has no actors"))
    }

    /// Returns the operations on queues.
    ///
    /// # Errors
    /// The engine has no queues (`is_usage`).
    pub fn need_queues(&self) -> Result<&dyn Queues> {
        self.queues()
            .ok_or_else(|| Error::usage("this engine has no queues"))
    }

    /// Returns the operations on memory that processes write together.
    ///
    /// # Errors
    /// The engine has no such memory (`is_usage`).
    pub fn need_shared_memory(&self) -> Result<&dyn SharedMemory> {
        self.shared_memory().ok_or_else(|| {
            Error::usage("this engine has no memory that processes share for writing")
        })
    }
}
