//! What a process can ask of the engine: the driver directly, a worker through its mailbox. Code
//! that users call is written once, against [`Client`].

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::Instant,
};

use mobula_store::{Block, Heap, Loc, Region};
use parking_lot::Mutex;

use crate::{
    Error, Result,
    actor::ActorSpec,
    ids::{FunctionIndex, ObjectId, WorkerId},
    payload::{Payload, Side},
    retries::Retries,
    sync::Seat,
    value::{Body, Format, Item, Lot, Outcome, Value},
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
    pub args: Vec<CallArg>,
    /// How often to run again; for a call of an actor, perhaps [as often as that says](Retries::OF_ACTOR).
    pub retries: Retries,
    /// The actor whose method the function is: the object that its constructor makes.
    pub actor: Option<Arc<Entry>>,
}

/// The engine as one process sees it.
pub trait Client: std::fmt::Debug + Send + Sync + 'static {
    /// Starts a call. Does not block and does not fail: what is wrong with the call is the
    /// outcome of the object.
    fn spawn(self: Arc<Self>, call: CallSpec) -> Arc<Entry>;

    /// Starts several calls, or none in the place of an error. Gives their results in order.
    fn spawn_all(self: Arc<Self>, calls: Vec<Result<CallSpec>>) -> Vec<Arc<Entry>> {
        let spawn = |call: Result<CallSpec>| match call {
            Ok(call) => self.clone().spawn(call),
            Err(error) => Entry::failed(error),
        };
        calls.into_iter().map(spawn).collect()
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

    /// The readable bytes of a stored value; `lease` keeps them.
    ///
    /// # Errors
    /// The location does not exist.
    fn block(&self, loc: Loc, lease: Arc<Entry>) -> Result<Block>;

    /// Shared memory, writable in this process; `lease` keeps it. May wait for a descriptor of the driver's.
    ///
    /// # Errors
    /// The location does not exist.
    fn region(&self, _loc: Loc, _lease: Arc<Entry>) -> Result<Region> {
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

    /// Who this process is among those of its runtime.
    fn process(&self) -> (WorkerId, Seat) {
        (WorkerId::DRIVER, Seat::DRIVER)
    }

    /// Calls `wait`, once, which may block for long. In a task, others may run on the worker meanwhile.
    fn blocking(&self, wait: &mut dyn FnMut()) {
        wait();
    }

    /// Where this process builds objects.
    fn heap(&self) -> &Arc<Heap>;
}

fn no_actors() -> Error {
    Error::usage("this engine has no actors")
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
        self.outcome.get().is_some()
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

/// A handle that this process has of an object. Clones of an `ObjectRef` share one, and so do all
/// refs to an object that is pending; when it is dropped, the engine is told.
pub struct Entry {
    id: ObjectId,
    /// `None` for the handle of a call that could not be started.
    client: Option<Weak<dyn Client>>,
    outcome: OnceLock<Outcome>,
    waiters: Mutex<Vec<Waker>>,
    /// [`Client::watch`] was called, and `unwatch` was not.
    watched: AtomicBool,
    /// See [`Entry::of_actor`].
    is_actor: bool,
}

impl Entry {
    /// A handle that counts at the engine already.
    pub fn new(id: ObjectId, client: Weak<dyn Client>, outcome: Option<Outcome>) -> Arc<Entry> {
        Arc::new(Entry::with(id, Some(client), outcome))
    }

    /// The same for the object that stands for an actor, whose end the last handle is.
    pub fn of_actor(
        id: ObjectId,
        client: Weak<dyn Client>,
        outcome: Option<Outcome>,
    ) -> Arc<Entry> {
        let mut entry = Entry::with(id, Some(client), outcome);
        entry.is_actor = true;
        Arc::new(entry)
    }

    /// A handle of nothing, for calls that could not be started.
    pub fn failed(error: Error) -> Arc<Entry> {
        let id = ObjectId {
            origin: crate::WorkerId::DRIVER,
            seq: u64::MAX,
        };
        Arc::new(Entry::with(id, None, Some(Err(error))))
    }

    fn with(id: ObjectId, client: Option<Weak<dyn Client>>, outcome: Option<Outcome>) -> Entry {
        let cell = OnceLock::new();
        if let Some(outcome) = outcome {
            let _ = cell.set(outcome);
        }
        Entry {
            id,
            client,
            outcome: cell,
            waiters: Mutex::new(Vec::new()),
            watched: AtomicBool::new(false),
            is_actor: false,
        }
    }

    /// A handle of no engine, for tests.
    #[cfg(test)]
    pub(crate) fn unowned(id: ObjectId, outcome: Outcome) -> Arc<Entry> {
        let mut entry = Entry::failed(Error::internal("unowned"));
        let unshared = Arc::get_mut(&mut entry).expect("a new entry");
        unshared.id = id;
        unshared.outcome = OnceLock::from(outcome);
        entry
    }

    /// Which object.
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// The engine that the object belongs to, while that lives.
    pub fn client(&self) -> Option<Arc<dyn Client>> {
        self.client.as_ref()?.upgrade()
    }

    /// Whether `client` is the engine that the object belongs to.
    pub fn belongs_to(&self, client: &Arc<dyn Client>) -> bool {
        self.client
            .as_ref()
            .is_some_and(|own| std::ptr::addr_eq(own.as_ptr(), Arc::as_ptr(client)))
    }

    /// Whether both stand for one object of one engine. A process may have several handles of an
    /// object that is finished.
    pub fn is_same_object(&self, other: &Entry) -> bool {
        let same_engine = match (&self.client, &other.client) {
            (Some(one), Some(other)) => std::ptr::addr_eq(one.as_ptr(), other.as_ptr()),
            _ => false,
        };
        std::ptr::eq(self, other) || same_engine && self.id == other.id
    }

    /// Whether an actor may end with the last handle of this object: it is one, or its value
    /// refers to objects, or that is not known here yet: it may be known elsewhere by now.
    pub fn may_end_an_actor(&self) -> bool {
        self.is_actor
            || match self.outcome.get() {
                None => true,
                Some(Ok(value)) => !value.items.is_empty(),
                Some(Err(_)) => false,
            }
    }

    /// What became of the object, if that is known here.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.get()
    }

    /// Tells the outcome, once, and wakes all who wait. Never under a lock of the engine, since
    /// wakers run user code.
    pub fn complete(&self, outcome: Outcome) {
        let _ = self.outcome.set(outcome);
        self.unwatch();
        let waiters = std::mem::take(&mut *self.waiters.lock());
        for waker in waiters {
            // Other people's code: a panic in one must not keep the others asleep, or end one of
            // the engine's threads.
            if std::panic::catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
                eprintln!("mobula: a waker panicked");
            }
        }
    }

    /// Leaves a waker, unless the outcome is there: then `false`. A waker that would wake the same
    /// task replaces the one left before.
    pub fn subscribe(&self, waker: &Waker) -> bool {
        let mut waiters = self.waiters.lock();
        // `complete` sets the outcome before it takes this lock to collect the waiters.
        if self.outcome.get().is_some() {
            return false;
        }
        if !waiters.iter().any(|w| w.will_wake(waker)) {
            waiters.push(waker.clone());
        }
        true
    }

    /// Has the engine see to it that [`complete`](Entry::complete) is called soon. After
    /// [`subscribe`](Entry::subscribe).
    pub fn watch(&self, client: &dyn Client) {
        if !self.watched.swap(true, Ordering::SeqCst) {
            client.watch(self);
            // It may have been completed just before.
            if self.outcome.get().is_some() {
                self.unwatch();
            }
        }
    }

    fn unwatch(&self) {
        if self.watched.load(Ordering::SeqCst)
            && self.watched.swap(false, Ordering::SeqCst)
            && let Some(client) = self.client()
        {
            client.unwatch();
        }
    }

    /// Blocks until the outcome is there or the deadline has passed; `false` if it has.
    pub fn wait(&self, deadline: Option<Instant>) -> bool {
        if self.outcome.get().is_some() {
            return true;
        }
        match self.client() {
            Some(_) if mobula_store::is_forked_child() => {
                self.complete(Err(Error::forked()));
                true
            }
            Some(client) => client.wait(self, deadline),
            None => {
                self.complete(Err(Error::shutdown()));
                true
            }
        }
    }

    /// The value with readable bytes, once the outcome is there.
    ///
    /// # Errors
    /// The object failed, or its runtime is gone.
    pub fn payload(self: &Arc<Self>) -> Result<Payload> {
        let value = match self.outcome.get() {
            Some(Ok(value)) => value,
            Some(Err(error)) => return Err(error.clone()),
            None => {
                return Err(Error::internal(format!(
                    "object {} is still pending",
                    self.id
                )));
            }
        };
        if let Body::Inline(block) = &value.body
            && value.items.is_empty()
        {
            let (format, block) = (value.format.clone(), block.clone());
            return Ok(Payload {
                format,
                block,
                side: Vec::new(),
            });
        }
        let client = self.client().ok_or_else(Error::shutdown)?;
        readable(&client, value, Some(self))
    }
}

/// The value with readable bytes; `lease` keeps them where they are stored.
///
/// # Errors
/// A location does not exist, or is not covered by a lease.
pub fn readable(
    client: &Arc<dyn Client>,
    value: &Value,
    lease: Option<&Arc<Entry>>,
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
            client.block(*loc, lease.clone())?
        }
    };
    Ok(Payload {
        format: value.format.clone(),
        block,
        side: sides(client, &value.items)?,
    })
}

/// What a value refers to, with handles that keep it.
fn sides(client: &Arc<dyn Client>, items: &[Item]) -> Result<Vec<Side>> {
    let mut handles = match items.iter().any(|item| item.id().is_some()) {
        true => client.clone().handles(items),
        false => Vec::new(),
    }
    .into_iter();
    let mut next = || {
        handles
            .next()
            .ok_or_else(|| Error::internal("fewer handles than objects"))
    };
    let mut side = Vec::with_capacity(items.len());
    for item in items {
        side.push(match item {
            Item::InlineArray(array) => {
                let Payload { block, format, .. } = readable(client, array, None)?;
                Side::array(block, format)
            }
            Item::Array { value, .. } if matches!(value.format, Format::Shared { .. }) => {
                Side::Ref(next()?)
            }
            Item::Array { value, .. } => {
                let Payload { block, format, .. } = readable(client, value, Some(&next()?))?;
                Side::array(block, format)
            }
            Item::Ref { .. } => Side::Ref(next()?),
        });
    }
    Ok(side)
}

impl Drop for Entry {
    fn drop(&mut self) {
        // In a child that user code forked, the engine's locks and mappings are not there.
        if let Some(client) = self.client()
            && !mobula_store::is_forked_child()
        {
            if *self.watched.get_mut() {
                client.unwatch();
            }
            client.release(self);
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.outcome.get() {
            None => "pending",
            Some(Ok(_)) => "ready",
            Some(Err(_)) => "failed",
        };
        write!(f, "Entry({}, {state})", self.id)
    }
}
