//! What a process can ask of the engine: the driver directly, a worker through its mailbox. Code
//! that users call is written once, against [`Client`].

use std::{sync::Arc, task::Waker, time::Instant};

use mobula_store::{Block, EnginePromise, Heap, Loc, Region};

use crate::{
    Error, Result,
    actor::ActorSpec,
    decoded::Decoded,
    entry::Entry,
    ids::{FunctionIndex, ObjectId, WorkerId},
    message::Args,
    options::CallOptions,
    payload::{Payload, Side},
    promise::ENGINE,
    sync::{Ended, Seat, Sleep},
    value::{Body, Format, Item, Lot, Value},
};

/// An argument of a call that has not been spawned yet.
#[derive(Clone, Debug)]
pub enum CallArg {
    /// A value of the call's own.
    Value(Payload),
    /// An object, stored or pending.
    Object(Arc<Entry>),
    /// Many objects, for a parameter that takes a vector of values.
    Gather(Vec<Arc<Entry>>),
}

/// A call that has not been spawned yet.
#[derive(Clone, Debug)]
pub struct CallSpec {
    /// Which function.
    pub function: FunctionIndex,
    /// With what.
    pub args: Args<CallArg>,
    /// Its own options, if it has any.
    pub options: CallOptions,
    /// The actor whose method the function is: the object that its constructor makes.
    pub actor: Option<Arc<Entry>>,
}

/// The engine as one process sees it.
pub trait Client: std::fmt::Debug + Send + Sync + 'static {
    /// Itself, for what keeps it.
    fn this(&self) -> Arc<dyn Client>;

    /// Starts a call. Does not block and does not fail: what is wrong with the call is the
    /// outcome of the object.
    fn spawn(&self, call: CallSpec) -> Arc<Entry>;

    /// Starts several calls, or none in the place of an error. Adds their results to `entries`, in
    /// order. The first may begin before the iterator has given the last.
    fn spawn_all(
        self: Arc<Self>,
        calls: &mut dyn Iterator<Item = Result<CallSpec>>,
        entries: &mut Vec<Arc<Entry>>,
    ) {
        entries.extend(calls.map(|call| match call {
            Ok(call) => self.spawn(call),
            Err(error) => Entry::failed(error),
        }));
    }

    /// Creates an actor, and gives the handle of its object: whose handles are those of the actor,
    /// and whose outcome is what its constructor made or why there is no actor. Does not block and
    /// does not fail: what is wrong is the outcome.
    fn create_actor(self: Arc<Self>, _: ActorSpec) -> Arc<Entry> {
        Entry::failed(no_actors())
    }

    /// The living actor of the name that the options say, or else a new one. However many ask at
    /// the same time, one actor is created.
    ///
    /// # Errors
    /// What is wrong with the call, as far as it is known at once.
    fn get_or_create_actor(self: Arc<Self>, _: ActorSpec) -> Result<Arc<Entry>> {
        Err(no_actors())
    }

    /// The living actor of this name.
    ///
    /// # Errors
    /// There is none (`is_usage`), or the runtime is gone.
    fn named_actor(self: Arc<Self>, _name: &str) -> Result<Arc<Entry>> {
        Err(no_actors())
    }

    /// Ends an actor at once, and fails its calls. Does nothing if it has ended.
    fn kill_actor(&self, _actor: &Entry) {}

    /// Makes an object. Copies the bytes into the store unless they are small or lie there.
    ///
    /// # Errors
    /// The store is full, or the runtime is gone.
    fn put(self: Arc<Self>, payload: Payload) -> Result<Arc<Entry>>;

    /// Makes an object of a value whose body and items are ready to travel. The object takes over
    /// a stored body. Does not block.
    fn register(self: Arc<Self>, value: Value) -> Arc<Entry>;

    /// The handle of an object that something else keeps alive at the moment. `known` is its
    /// value, where the caller has it.
    fn handle(self: Arc<Self>, id: ObjectId, known: Option<&Arc<Value>>) -> Arc<Entry>;

    /// As [`handle`](Client::handle), for several objects: what `items` refer to, in order.
    fn handles(self: Arc<Self>, items: &[Item]) -> Vec<Arc<Entry>> {
        let objects = items.iter().filter_map(Item::object);
        let handle = |(id, known)| self.clone().handle(id, known);
        objects.map(handle).collect()
    }

    /// The last handle of an object in this process goes. Takes no lock that user code could
    /// be called under.
    fn release(&self, entry: &Entry);

    /// Nobody will ask for the result of this task, but its work is wanted: the end of the runtime
    /// waits for it. Takes no lock that user code could be called under.
    fn detach(&self, _: &Entry) {}

    /// Makes sure that [`Entry::complete`] will be called soon. Once for each entry: see
    /// [`Entry::watch`].
    fn watch(&self, entry: &Entry);

    /// An entry that was watched is complete, or gone.
    fn unwatch(&self) {}

    /// May look for the outcome for some microseconds, on behalf of a future that would otherwise
    /// have to be woken.
    fn linger(&self, _: &Entry) {}

    /// All of these are going to be waited for, one after the other: where an answer takes a question,
    /// they can be asked at once.
    fn expect(&self, _entries: &mut dyn Iterator<Item = &Entry>) {}

    /// Blocks until what is awaited is known or the deadline has passed; `false` if it has.
    fn wait(&self, what: &dyn Awaited, deadline: Option<Instant>) -> bool;

    /// How many workers the runtime has, as it was asked for.
    fn workers(&self) -> usize;

    /// The readable bytes of a stored value.
    ///
    /// *Pinned while leased*: `lease` keeps them. *One use*: they are no shared memory.
    ///
    /// # Errors
    /// The location does not exist.
    fn block(&self, loc: Loc, lease: Arc<Entry>, engine: EnginePromise) -> Result<Block>;

    /// The shared memory that an object stands for, writable in this process. May wait for a descriptor
    /// of the driver's.
    ///
    /// # Errors
    /// The object is not shared memory ([`Entry::shared_memory`]), or its location does not exist.
    fn region(&self, _object: &Arc<Entry>) -> Result<Region> {
        Err(no_shared_memory())
    }

    /// Lends parts of a shared array, each as an object of format [`Part`](crate::Format::Part). A part is back
    /// when nobody has its object any more. In a task this waits for the driver.
    ///
    /// # Errors
    /// They overlap, with one another or with what is lent, or are not in the array.
    fn lend(self: Arc<Self>, _array: &Arc<Entry>, _parts: Vec<Lot>) -> Result<Vec<Arc<Entry>>> {
        Err(no_shared_memory())
    }

    /// An object that is ready when all parts of the array are back: the parts that are torn, as
    /// `Vec<TornLot>`. Does not block.
    fn settle(self: Arc<Self>, _array: &Arc<Entry>) -> Arc<Entry> {
        Entry::failed(no_shared_memory())
    }

    /// The object that a shared array turns into, once no process has it writable any more. It fails
    /// if there are other handles of the array, or parts that are lent. Does not block.
    fn seal(self: Arc<Self>, _array: &Arc<Entry>, _format: Format) -> Arc<Entry> {
        Entry::failed(no_shared_memory())
    }

    /// A queue with room for so many values: its object. Does not block and does not fail: what is wrong is
    /// the outcome.
    fn create_queue(self: Arc<Self>, _capacity: u32) -> Arc<Entry> {
        Entry::failed(no_queues())
    }

    /// Puts values into a queue, together: an object that is ready when they are in. Where they are not, it
    /// fails: `is_closed`, or `is_timeout` if it was given up or does not wait (`waits`) for room. Does not
    /// block.
    fn queue_put(&self, _queue: &Entry, _values: Args<CallArg>, _waits: bool) -> Arc<Entry> {
        Entry::failed(no_queues())
    }

    /// Takes values out of a queue, together: an object for each, which [is or stands
    /// for](Value::stands_for) the value. They fail as those of [`queue_put`](Client::queue_put) do.
    ///
    /// A value goes back to the queue if this process dies before it has said
    /// [`queue_took`](Client::queue_took).
    fn queue_get(&self, _queue: &Entry, count: usize, _waits: bool) -> Vec<Arc<Entry>> {
        (0..count).map(|_| Entry::failed(no_queues())).collect()
    }

    /// Ends one request, whose answers these are, if it still waits: they are complete soon. With `returns`,
    /// the values go back to the queue if it does not wait any more; nobody may use them then.
    fn queue_give_up(&self, _answers: &mut dyn Iterator<Item = ObjectId>, _returns: bool) {}

    /// The values of these answers are the caller's now.
    fn queue_took(&self, _answers: &mut dyn Iterator<Item = ObjectId>) {}

    /// An object that says how many values are in a queue, and whether it is closed: a `(u64, bool)`. Closes it
    /// before, if that is wanted. Does not block.
    fn queue_ask(&self, _queue: &Entry, _close: bool) -> Arc<Entry> {
        Entry::failed(no_queues())
    }

    /// The decoded values that this process keeps for its tasks; `None` where none are kept.
    fn decoded(&self) -> Option<&Decoded> {
        None
    }

    /// A decoded value of the object is kept: [`Decoded::forget`] is to be called when the object is freed.
    fn keeps_decoded(&self, _id: ObjectId) {}

    /// Who this process is among those of its runtime.
    fn process(&self) -> (WorkerId, Seat) {
        (WorkerId::DRIVER, Seat::DRIVER)
    }

    /// Sleeps in the queue of a lock. In a task, others run on the worker during the sleep.
    ///
    /// # Errors
    /// The runtime has ended: there may be nobody left who wakes this thread.
    fn sleep(&self, sleep: &mut dyn Sleep) -> std::result::Result<(), Ended> {
        sleep.sleep(None);
        Ok(())
    }

    /// A future is about to wait for a lock. `wake_all` is called when the runtime ends; it has all futures of
    /// this process look again.
    ///
    /// # Errors
    /// The runtime has ended: there may be nobody left who wakes the future.
    fn waits(&self, _wake_all: fn()) -> std::result::Result<(), Ended> {
        Ok(())
    }

    /// Why [`sleep`](Client::sleep) or [`waits`](Client::waits) has failed.
    fn why_ended(&self) -> Error {
        Error::shutdown()
    }

    /// Where this process builds objects.
    fn heap(&self) -> &Arc<Heap>;
}

fn no_actors() -> Error {
    Error::usage("this engine has no actors")
}

fn no_queues() -> Error {
    Error::usage("this engine has no queues")
}

fn no_shared_memory() -> Error {
    Error::usage("this engine has no memory that processes share for writing")
}

/// What a thread can wait for.
pub trait Awaited {
    /// Whether it is there. Asked very often.
    fn is_known(&self) -> bool;

    /// Leaves a waker for when it is, unless it is there: then `false`.
    fn subscribe(&self, waker: &Waker) -> bool;

    /// Calls `f` with each entry that it may depend on.
    fn for_each_entry(&self, f: &mut dyn FnMut(&Entry));
}

impl Awaited for Entry {
    fn is_known(&self) -> bool {
        self.outcome().is_some()
    }

    fn subscribe(&self, waker: &Waker) -> bool {
        Entry::subscribe(self, waker)
    }

    fn for_each_entry(&self, f: &mut dyn FnMut(&Entry)) {
        f(self);
    }
}

/// One of several.
impl Awaited for Vec<Arc<Entry>> {
    fn is_known(&self) -> bool {
        self.iter().any(|entry| entry.is_known())
    }

    fn subscribe(&self, waker: &Waker) -> bool {
        self.iter().all(|entry| Entry::subscribe(entry, waker))
    }

    fn for_each_entry(&self, f: &mut dyn FnMut(&Entry)) {
        self.iter().for_each(|entry| f(entry));
    }
}

/// The value with readable bytes.
///
/// *Pinned while leased*: `lease` keeps them where they are stored.
///
/// # Errors
/// A location does not exist, or is not covered by a lease.
pub fn readable(
    client: &dyn Client,
    value: &Value,
    lease: Option<&Arc<Entry>>,
    _: EnginePromise,
) -> Result<Payload> {
    readable_with(client, value, lease, handles_of(client, &value.items))
}

/// As [`readable`], with the handles of the objects among the items.
///
/// # Errors
/// As there.
pub(crate) fn readable_with(
    client: &dyn Client,
    value: &Value,
    lease: Option<&Arc<Entry>>,
    handles: Vec<Arc<Entry>>,
) -> Result<Payload> {
    let block = match &value.body {
        Body::Inline(block) => block.clone(),
        Body::Stored(_) if matches!(value.format, Format::Shared { .. }) => {
            return Err(Error::type_mismatch(
                "shared memory cannot be read as a value: others may write there meanwhile",
            ));
        }
        Body::Stored(loc) => {
            let lease = lease.ok_or_else(|| Error::internal("a stored value without an object"))?;
            client.block(*loc, lease.clone(), ENGINE)?
        }
    };
    Ok(Payload {
        format: value.format.clone(),
        block,
        side: sides(client, &value.items, handles)?,
    })
}

/// The handles of the objects among the items, in order.
pub(crate) fn handles_of(client: &dyn Client, items: &[Item]) -> Vec<Arc<Entry>> {
    match items.iter().any(|item| item.id().is_some()) {
        true => client.this().handles(items),
        false => Vec::new(),
    }
}

/// What a value refers to, with handles that keep it.
fn sides(client: &dyn Client, items: &[Item], handles: Vec<Arc<Entry>>) -> Result<Vec<Side>> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let mut handles = handles.into_iter();
    let mut next = || {
        handles
            .next()
            .ok_or_else(|| Error::internal("fewer handles than objects"))
    };
    let mut side = Vec::with_capacity(items.len());
    for item in items {
        side.push(match item {
            Item::InlineArray(array) => {
                let Payload { block, format, .. } = readable(client, array, None, ENGINE)?;
                Side::array(block, format)
            }
            Item::Array { value, .. } if matches!(value.format, Format::Shared { .. }) => {
                Side::Ref(next()?)
            }
            Item::Array { value, .. } => {
                let Payload { block, format, .. } =
                    readable(client, value, Some(&next()?), ENGINE)?;
                Side::array(block, format)
            }
            Item::Ref { .. } => Side::Ref(next()?),
        });
    }
    Ok(side)
}
