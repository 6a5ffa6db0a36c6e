//! An engine for tests: it runs each call at once, in this process and on this thread, through the
//! same encoding and the same store as the others. Calls can be held back, to see pending results.

mod actors;
mod queues;

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use mobula_store::{
    Backing, Block, Capacity, EnginePromise, Heap, Loc, Plain, SegmentFile, SegmentId,
};
use mobula_worker::{
    ActorSpec, Awaited, Body, CallArg, CallSpec, Client, Decoded, Entry, Error, FunctionIndex,
    Input, Inputs, ObjectId, Outcome, Payload, Registry, Result, Role, TaskOptions, Value,
    WorkerId, lower_call,
    message::{ArgSpec, Args},
    readable,
};
use parking_lot::Mutex;

use super::{Joinable, ObjectRef, Put, UnspawnedCall, runtime_api};
use crate::{Array, promise::ENGINE};
use actors::Actors;
use queues::Queues;

const CAPACITY: u64 = 64 << 20;

thread_local! {
    static CURRENT: RefCell<Option<Arc<dyn Client>>> = const { RefCell::new(None) };
}

/// The engine that calls on this thread belong to.
pub(crate) fn current() -> Option<Arc<dyn Client>> {
    CURRENT.with_borrow(Clone::clone)
}

/// What a `Runtime` is for the other engines.
pub(crate) struct TestRuntime {
    engine: Arc<Inline>,
    client: Arc<dyn Client>,
}

impl TestRuntime {
    /// A runtime that calls on this thread belong to.
    pub(crate) fn start() -> TestRuntime {
        let runtime = TestRuntime::aside();
        CURRENT.set(Some(runtime.client.clone()));
        runtime
    }

    /// A runtime that only its own refs belong to.
    pub(crate) fn aside() -> TestRuntime {
        let engine = Inline::new();
        TestRuntime {
            client: engine.clone(),
            engine,
        }
    }

    pub(crate) fn put<How, T: ?Sized + Put<How>>(&self, value: &T) -> Result<ObjectRef<T::Object>> {
        runtime_api::put(&self.client, value)
    }

    pub(crate) fn put_with<E: Plain + bytemuck::Zeroable>(
        &self,
        len: usize,
        fill: impl FnOnce(&mut [E]),
    ) -> Result<ObjectRef<Array<E>>> {
        runtime_api::put_with(&self.client, len, fill)
    }

    pub(crate) fn spawn<R>(&self, call: UnspawnedCall<R>) -> ObjectRef<R> {
        call.spawn_on(&self.client)
    }

    pub(crate) fn spawn_all<R>(
        &self,
        calls: impl IntoIterator<Item = UnspawnedCall<R>>,
    ) -> Vec<ObjectRef<R>> {
        runtime_api::spawn_all(&self.client, calls)
    }

    pub(crate) fn get<J: Joinable>(&self, refs: J) -> Result<J::Output> {
        refs.join()
    }

    /// The options of each call that was made, in order.
    pub(crate) fn options(&self) -> Vec<TaskOptions> {
        std::mem::take(&mut *self.engine.options.lock())
    }

    pub(crate) fn client(&self) -> &Arc<dyn Client> {
        &self.client
    }

    /// From now on calls stay pending, until [`run_held`](Self::run_held).
    pub(crate) fn hold(&self) {
        self.engine.holding.store(true, Ordering::SeqCst);
    }

    /// Runs what was held back.
    pub(crate) fn run_held(&self) {
        self.engine.holding.store(false, Ordering::SeqCst);
        while let Some(task) = self.engine.held.lock().pop_front() {
            self.engine.run(task);
        }
    }

    /// Bytes of all stored objects.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.engine.heap.in_use()
    }

    /// How many objects there are.
    pub(crate) fn object_count(&self) -> usize {
        self.engine.objects.lock().len()
    }
}

impl Drop for TestRuntime {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|current| {
            if current
                .as_ref()
                .is_some_and(|current| Arc::ptr_eq(current, &self.client))
            {
                *current = None;
            }
        });
    }
}

struct Inline {
    this: Weak<Inline>,
    heap: Arc<Heap>,
    next: AtomicU64,
    objects: Mutex<HashMap<ObjectId, Object>>,
    holding: AtomicBool,
    decoded: Decoded,
    held: Mutex<VecDeque<Task>>,
    actors: Actors,
    queues: Queues,
    /// What each call said.
    options: Mutex<Vec<TaskOptions>>,
}

struct Object {
    entry: Weak<Entry>,
    outcome: Option<Outcome>,
    /// Handles of what the value refers to.
    _keep: Vec<Arc<Entry>>,
    /// The extent that goes with the object.
    owns: Option<Loc>,
}

struct Task {
    /// Without the handle, so that a result whose last ref is dropped is given up.
    id: ObjectId,
    function: FunctionIndex,
    args: Vec<ArgSpec>,
    keep: Vec<Arc<Entry>>,
    actor: Option<ObjectId>,
}

impl Inline {
    fn new() -> Arc<Inline> {
        let file = SegmentFile::create(2 * CAPACITY, CAPACITY, Backing::Anonymous).unwrap();
        let heap = Heap::new(SegmentId(0), file, Arc::new(Capacity::new(CAPACITY))).unwrap();
        Arc::new_cyclic(|this| Inline {
            this: this.clone(),
            heap,
            next: AtomicU64::new(0),
            objects: Mutex::default(),
            holding: AtomicBool::new(false),
            decoded: Decoded::new(1 << 20),
            held: Mutex::default(),
            actors: Actors::default(),
            queues: Queues::default(),
            options: Mutex::default(),
        })
    }

    fn client(&self) -> Arc<dyn Client> {
        self.this.upgrade().unwrap()
    }

    fn add(
        &self,
        outcome: Option<Outcome>,
        keep: Vec<Arc<Entry>>,
        owns: Option<Loc>,
    ) -> Arc<Entry> {
        let id = ObjectId {
            origin: WorkerId::DRIVER,
            seq: self.next.fetch_add(1, Ordering::SeqCst),
        };
        let client: Weak<dyn Client> = self.this.clone();
        let entry = Entry::new(id, client, outcome.clone());
        let object = Object {
            entry: Arc::downgrade(&entry),
            outcome,
            _keep: keep,
            owns,
        };
        self.objects.lock().insert(id, object);
        entry
    }

    fn run(&self, task: Task) {
        let Task {
            id,
            function,
            args,
            keep,
            actor,
        } = task;
        let function = Registry::get().unwrap().function(function).unwrap();
        let inputs = || -> Result<Inputs> {
            let state = match (actor, function.role) {
                (None, _) => None,
                (Some(actor), Role::Constructor { .. }) => {
                    Some(self.actors.state(actor, function.name)?)
                }
                (Some(actor), _) => match self.client().handle(actor, None).outcome() {
                    Some(Err(why)) => return Err(Error::actor_dead(function.name, why)),
                    _ => Some(self.actors.state(actor, function.name)?),
                },
            };
            let inputs = self.inputs(function.name, args)?;
            Ok(match state {
                None => Inputs::new(inputs),
                Some(state) => Inputs::of_actor(inputs, state),
            })
        };
        let outcome = inputs().and_then(|mut inputs| {
            match catch_unwind(AssertUnwindSafe(|| (function.run)(&mut inputs))) {
                Ok(result) => result.map_err(|error| error.in_task(function.name, 0)),
                Err(panic) => {
                    let text = panic.downcast_ref::<&str>().copied().unwrap_or("something");
                    Err(Error::panic(function.name, 0, "here", text))
                }
            }
        });
        drop(keep);
        // The bytes belong to the object that `put` makes or finds; the result keeps that.
        let (outcome, keep) = match outcome.and_then(|payload| self.client().put(payload)) {
            Ok(made) => (made.outcome().unwrap().clone(), vec![made]),
            Err(error) => (Err(error), Vec::new()),
        };
        self.complete(id, outcome, keep);
    }

    /// The outcome of a pending object, and handles of what its value refers to.
    fn complete(&self, id: ObjectId, outcome: Outcome, keep: Vec<Arc<Entry>>) {
        let mut objects = self.objects.lock();
        let Some(object) = objects.get_mut(&id) else {
            return;
        };
        object.outcome = Some(outcome.clone());
        object._keep = keep;
        let entry = object.entry.upgrade();
        drop(objects);
        if let Some(entry) = entry {
            entry.complete(outcome, ENGINE);
        }
    }

    /// Runs a task, or holds it back.
    fn start(&self, task: Task) {
        if self.holding.load(Ordering::SeqCst) {
            self.held.lock().push_back(task);
        } else {
            self.run(task);
        }
    }

    fn inputs(&self, function: &str, args: Vec<ArgSpec>) -> Result<Vec<Input>> {
        let payload = |id: ObjectId| -> Result<Payload> {
            let entry = self.client().handle(id, None);
            match entry.outcome() {
                Some(Err(error)) => Err(Error::dependency(function, error)),
                Some(Ok(_)) => entry.payload(),
                None => panic!("a test held back the input of a task that it ran"),
            }
        };
        args.into_iter()
            .map(|arg| {
                Ok(match arg {
                    ArgSpec::Value(value) => {
                        Input::Value(readable(self, &value, None, ENGINE)?, None)
                    }
                    ArgSpec::Object(id) => Input::Value(payload(id)?, Some(id)),
                    ArgSpec::Gather(ids) => Input::Gather(
                        ids.into_iter()
                            .map(payload)
                            .collect::<Result<Vec<_>>>()?
                            .into(),
                    ),
                })
            })
            .collect()
    }
}

impl fmt::Debug for Inline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inline")
    }
}

impl Client for Inline {
    fn this(&self) -> Arc<dyn Client> {
        self.client()
    }

    fn spawn(&self, mut call: CallSpec) -> Arc<Entry> {
        let (function, actor) = (call.function, call.actor.take());
        let options = match (
            &call.options,
            Registry::get().ok().and_then(|all| all.function(function)),
        ) {
            (Some(own), _) => **own,
            (None, Some(function)) => function.options,
            (None, None) => TaskOptions::DEFAULT,
        };
        self.options.lock().push(options);
        let (args, mut keep) = match lower_call(self, &mut call.args) {
            Ok(lowered) => lowered,
            Err(error) => return Entry::failed(error),
        };
        let entry = self.add(None, Vec::new(), None);
        let of = actor.as_ref().map(|actor| actor.id());
        keep.extend(actor);
        self.start(Task {
            id: entry.id(),
            function,
            args: args.into_vec(),
            keep,
            actor: of,
        });
        entry
    }

    fn create_actor(self: Arc<Self>, spec: ActorSpec) -> Arc<Entry> {
        let name = spec.options.name.clone();
        match self.create(spec) {
            Ok((entry, true)) => entry,
            Ok((_, false)) => Entry::failed(Error::usage(format!(
                "there is an actor {:?} already",
                name.unwrap_or_default()
            ))),
            Err(error) => Entry::failed(error),
        }
    }

    fn get_or_create_actor(self: Arc<Self>, spec: ActorSpec) -> Result<Arc<Entry>> {
        Ok(self.create(spec)?.0)
    }

    fn named_actor(self: Arc<Self>, name: &str) -> Result<Arc<Entry>> {
        self.find(name)
    }

    fn kill_actor(&self, actor: &Entry) {
        self.kill(actor);
    }

    fn put(self: Arc<Self>, payload: Payload) -> Result<Arc<Entry>> {
        mobula_worker::put(&*self, payload)
    }

    fn create_queue(self: Arc<Self>, capacity: u32) -> Arc<Entry> {
        self.new_queue(capacity)
    }

    fn queue_put(&self, queue: &Entry, values: Args<CallArg>, waits: bool) -> Arc<Entry> {
        self.put_in(queue.id(), values, waits)
            .unwrap_or_else(Entry::failed)
    }

    fn queue_get(&self, queue: &Entry, count: usize, waits: bool) -> Vec<Arc<Entry>> {
        self.take_out(queue.id(), count, waits)
    }

    fn queue_give_up(&self, answers: &mut dyn Iterator<Item = ObjectId>, returns: bool) {
        self.give_up(&answers.collect::<Vec<_>>(), returns);
    }

    fn queue_ask(&self, queue: &Entry, close: bool) -> Arc<Entry> {
        self.state_of(queue.id(), close)
    }

    fn register(self: Arc<Self>, value: Value) -> Arc<Entry> {
        let keep = value
            .nested()
            .map(|id| self.clone().handle(id, None))
            .collect();
        let owns = match value.body {
            Body::Stored(loc) => Some(loc),
            Body::Inline(_) => None,
        };
        self.add(Some(Ok(Arc::new(value))), keep, owns)
    }

    fn handle(self: Arc<Self>, id: ObjectId, _: Option<&Arc<Value>>) -> Arc<Entry> {
        let mut objects = self.objects.lock();
        let Some(object) = objects.get_mut(&id) else {
            return Entry::failed(Error::internal(format!("object {id} is gone")));
        };
        object.entry.upgrade().unwrap_or_else(|| {
            let client: Weak<dyn Client> = self.this.clone();
            let entry = Entry::new(id, client, object.outcome.clone());
            object.entry = Arc::downgrade(&entry);
            entry
        })
    }

    fn release(&self, entry: &Entry) {
        let id = entry.id();
        let mut objects = self.objects.lock();
        let dead = objects
            .get(&id)
            .is_some_and(|object| object.entry.strong_count() == 0);
        let object = if dead { objects.remove(&id) } else { None };
        drop(objects);
        if let Some(loc) = object.and_then(|object| object.owns) {
            self.heap.free(loc, ENGINE).unwrap();
        }
        if dead {
            self.actors.end(id);
            self.queues.end(id);
            self.decoded.forget(id);
            drop(self.decoded.take_forgotten());
        }
    }

    fn watch(&self, _: &Entry) {}

    fn decoded(&self) -> Option<&Decoded> {
        Some(&self.decoded)
    }

    fn wait(&self, what: &dyn Awaited, deadline: Option<Instant>) -> bool {
        mobula_worker::park_until(what, deadline)
    }

    fn workers(&self) -> usize {
        1
    }

    fn block(&self, loc: Loc, lease: Arc<Entry>, engine: EnginePromise) -> Result<Block> {
        Ok(self.heap.block(loc, lease, engine)?)
    }

    fn heap(&self) -> &Arc<Heap> {
        &self.heap
    }
}
