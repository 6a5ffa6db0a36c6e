//! The engine as the driver's own code sees it.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Instant,
};

use mobula_store::{Block, EnginePromise, Heap, Loc, Region};
use mobula_worker::{
    ActorSpec, Awaited, CallArg, CallSpec, Client, Entry, Error, Format, Item, Lot, ObjectId,
    Payload, Result, Value, WorkerId, lower_call,
    message::{Args, TaskSpec},
    put,
    sync::{Ended, Sleep},
};

use super::{Driver, lanes::Lanes};
use crate::{
    core::{Core, Violation, no_such_actor},
    promise::ENGINE,
};

/// So many calls of a list are submitted under one lock: then workers begin with them, and get more in place of
/// those that they have done, while the next are prepared.
const AT_ONCE: usize = 8;

/// A call whose arguments can travel, without its id, and handles that keep them until it is a task.
type Lowered = (TaskSpec, Vec<Arc<Entry>>);

impl Driver {
    /// # Errors
    /// Why nothing can be asked of this runtime.
    fn usable(&self) -> Result<()> {
        if mobula_store::is_forked_child() {
            return Err(Error::forked());
        }
        match self.failure.get() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// # Errors
    /// Nothing can be asked of this runtime, the store is full, or an argument is of another runtime.
    fn lower(&self, mut call: CallSpec) -> Result<Lowered> {
        self.usable()?;
        let (function, options) = (call.function, call.options.take());
        let actor = call.actor.clone();
        let (args, mut keep) = if call.args.is_empty() {
            Default::default()
        } else {
            lower_call(self, &mut call.args)?
        };
        let id_of_actor = actor.as_ref().map(|actor| actor.id());
        keep.extend(actor);
        let id = ObjectId {
            origin: WorkerId::DRIVER,
            seq: u64::MAX,
        };
        let call = TaskSpec {
            id,
            function,
            args,
            options,
            actor: id_of_actor,
        };
        Ok((call, keep))
    }

    /// A handle of an object that something else keeps alive at the moment.
    pub(super) fn handle_in(
        &self,
        core: &mut Core,
        id: ObjectId,
        known: Option<&Arc<Value>>,
    ) -> Arc<Entry> {
        let is_actor = core.is_actor(id) || core.is_queue(id);
        let handle = core.handle(id, |outcome| {
            let outcome = outcome.or_else(|| known.map(|value| Ok(value.clone())));
            match is_actor {
                true => Entry::of_actor(id, self.as_client(), outcome),
                false => Entry::new(id, self.as_client(), outcome),
            }
        });
        handle.unwrap_or_else(|violation| Entry::failed(Error::internal(violation.to_string())))
    }

    /// Makes a task of a call.
    fn submit(
        &self,
        (call, keep): (TaskSpec, &mut Vec<Arc<Entry>>),
        core: &mut Core,
        lanes: &mut Lanes,
    ) -> std::result::Result<ObjectId, Violation> {
        let id = core.mint();
        core.submit(TaskSpec { id, ..call }, WorkerId::DRIVER, lanes)?;
        if !keep.is_empty() {
            self.hand_over_memory(keep, core, lanes);
        }
        self.monitor.arm();
        if self.traffic.count_spawn() && lanes.any_busy_ready() {
            lanes.drain_some(core);
            self.traffic.serve();
        }
        Ok(id)
    }

    /// Lets go of the shared memory that a task has from here on, before anybody hears of the task:
    /// it may seal what it was given, and a handle that this thread is about to drop would count
    /// against that. Nobody waits for shared memory, so that no waker goes with it.
    fn hand_over_memory(&self, keep: &mut Vec<Arc<Entry>>, core: &mut Core, lanes: &mut Lanes) {
        let before = keep.len();
        keep.retain(|entry| !entry.is_shared_memory());
        if keep.len() < before {
            self.count_released(core, lanes);
        }
    }

    /// The handle of a task that was submitted in this step.
    fn submitted(
        &self,
        core: &mut Core,
        id: std::result::Result<ObjectId, Violation>,
    ) -> Arc<Entry> {
        match id {
            Ok(id) => {
                // It may have failed already.
                let entry = Entry::new(id, self.as_client(), core.outcome(id));
                core.attach(id, &entry);
                entry
            }
            Err(violation) => Entry::failed(Error::internal(violation.to_string())),
        }
    }

    /// Makes an actor; with `find`, unless there is one of its name.
    fn create(self: &Arc<Self>, spec: ActorSpec, find: bool) -> Result<Arc<Entry>> {
        let ActorSpec {
            constructor,
            args,
            options,
        } = spec;
        let (call, keep) = self.lower(CallSpec {
            function: constructor,
            args,
            options: None,
            actor: None,
        })?;
        let actor = self.with(|core, lanes| {
            let named = options.name.as_deref().filter(|_| find);
            if let Some(actor) = named.and_then(|name| core.named_actor(name)) {
                return Ok(self.handle_in(core, actor, None));
            }
            let id = core.mint();
            core.create_actor(
                id,
                (constructor, call.args),
                options,
                WorkerId::DRIVER,
                lanes,
            )
            .map_err(|violation| Error::internal(violation.to_string()))?;
            let entry = Entry::of_actor(id, self.as_client(), core.outcome(id));
            core.attach(id, &entry);
            Ok(entry)
        });
        // As in `spawn`.
        drop(keep);
        actor
    }

    /// The handle of an object that `make` makes, which may be pending.
    fn promised(
        &self,
        make: impl FnOnce(ObjectId, &mut Core, &mut Lanes) -> std::result::Result<(), Violation>,
    ) -> Arc<Entry> {
        if let Err(error) = self.usable() {
            return Entry::failed(error);
        }
        self.with(|core, lanes| {
            let id = core.mint();
            match make(id, core, lanes) {
                Ok(()) => {
                    let entry = Entry::new(id, self.as_client(), core.outcome(id));
                    core.attach(id, &entry);
                    entry
                }
                Err(violation) => Entry::failed(Error::internal(violation.to_string())),
            }
        })
    }

    fn as_client(&self) -> Weak<dyn Client> {
        self.this.clone()
    }
}

impl Client for Driver {
    fn this(&self) -> Arc<dyn Client> {
        self.this
            .upgrade()
            .expect("whoever calls a driver holds it")
    }

    fn spawn(&self, call: CallSpec) -> Arc<Entry> {
        match self.lower(call) {
            Ok((call, mut keep)) => {
                let entry = self.with_haste(
                    |core, lanes| self.submit((call, &mut keep), core, lanes),
                    |core, id| self.submitted(core, id),
                );
                // The task counts its arguments from here on. Not under the lock: with the last
                // handle of something a waker can go, which is other people's code.
                drop(keep);
                entry
            }
            Err(error) => Entry::failed(error),
        }
    }

    fn spawn_all(
        self: Arc<Self>,
        calls: &mut dyn Iterator<Item = Result<CallSpec>>,
        entries: &mut Vec<Arc<Entry>>,
    ) {
        let (mut lowered, mut kept) = (Vec::new(), Vec::new());
        loop {
            for call in calls.take(AT_ONCE) {
                lowered.push(call.and_then(|call| self.lower(call)));
            }
            if lowered.is_empty() {
                return;
            }
            self.with(|core, lanes| {
                entries.extend(lowered.drain(..).map(|call| match call {
                    Ok((call, mut keep)) => {
                        let id = self.submit((call, &mut keep), core, lanes);
                        kept.append(&mut keep);
                        self.submitted(core, id)
                    }
                    Err(error) => Entry::failed(error),
                }));
            });
            // As in `spawn`.
            kept.clear();
        }
    }

    fn create_actor(self: Arc<Self>, spec: ActorSpec) -> Arc<Entry> {
        self.create(spec, false).unwrap_or_else(Entry::failed)
    }

    fn get_or_create_actor(self: Arc<Self>, spec: ActorSpec) -> Result<Arc<Entry>> {
        self.create(spec, true)
    }

    fn named_actor(self: Arc<Self>, name: &str) -> Result<Arc<Entry>> {
        self.usable()?;
        self.with(|core, _| match core.named_actor(name) {
            Some(actor) => Ok(self.handle_in(core, actor, None)),
            None => Err(no_such_actor(name)),
        })
    }

    fn kill_actor(&self, actor: &Entry) {
        self.with(|core, lanes| core.kill_actor(actor.id(), lanes));
    }

    fn put(self: Arc<Self>, payload: Payload) -> Result<Arc<Entry>> {
        self.usable()?;
        put(&*self, payload)
    }

    fn register(self: Arc<Self>, value: Value) -> Arc<Entry> {
        let value = Arc::new(value);
        let registered = self.with(|core, _| {
            let id = core.mint();
            core.put(id, value.clone(), WorkerId::DRIVER).map(|()| id)
        });
        match registered {
            Ok(id) => Entry::new(id, self.as_client(), Some(Ok(value))),
            Err(violation) => Entry::failed(Error::internal(violation.to_string())),
        }
    }

    fn handle(self: Arc<Self>, id: ObjectId, known: Option<&Arc<Value>>) -> Arc<Entry> {
        self.with(|core, _| self.handle_in(core, id, known))
    }

    fn handles(self: Arc<Self>, items: &[Item]) -> Vec<Arc<Entry>> {
        let mut handles = Vec::with_capacity(items.len());
        self.with(|core, _| {
            for (id, known) in items.iter().filter_map(Item::object) {
                handles.push(self.handle_in(core, id, known));
            }
        });
        handles
    }

    fn release(&self, entry: &Entry) {
        let may_end = self.has_actors.load(Ordering::Relaxed) && entry.may_end_an_actor();
        if self.released.push(entry.id(), !entry.is_small(), may_end) {
            // Nobody else may come by for long.
            self.bell.ring();
        }
    }

    fn detach(&self, entry: &Entry) {
        if mobula_store::is_forked_child() {
            return;
        }
        self.released.detach(entry.id());
    }

    fn watch(&self, _: &Entry) {
        self.traffic.watch();
        if !mobula_store::is_forked_child() {
            self.bell.hurry();
        }
    }

    fn unwatch(&self) {
        self.traffic.unwatch();
    }

    fn linger(&self, entry: &Entry) {
        self.linger_for(entry);
    }

    fn wait(&self, what: &dyn Awaited, deadline: Option<Instant>) -> bool {
        self.wait_for(what, deadline)
    }

    fn workers(&self) -> usize {
        self.config.workers
    }

    fn block(&self, loc: Loc, lease: Arc<Entry>, engine: EnginePromise) -> Result<Block> {
        if loc.segment == self.heap.id() {
            Ok(self.heap.block(loc, lease, engine)?)
        } else {
            Ok(self.segments.resolve(loc, lease, engine)?)
        }
    }

    fn region(&self, object: &Arc<Entry>) -> Result<Region> {
        let (loc, lease) = (object.shared_memory()?, object.clone());
        if loc.segment == self.heap.id() {
            return Ok(self.heap.region(loc, lease, ENGINE)?);
        }
        if !self.writables.contains(loc.segment) {
            let state = self.state.lock();
            if let Some(file) = state.lanes.files.get(&loc.segment) {
                self.writables.insert(loc.segment, file)?;
            }
        }
        Ok(self.writables.open(loc, lease, ENGINE)?)
    }

    fn lend(self: Arc<Self>, array: &Arc<Entry>, parts: Vec<Lot>) -> Result<Vec<Arc<Entry>>> {
        self.usable()?;
        let id = array.id();
        self.with(|core, _| {
            let ids = core
                .lend(id, &parts)
                .map_err(|violation| Error::internal(violation.to_string()))??;
            let entry = |id: &ObjectId| Entry::new(*id, self.as_client(), core.outcome(*id));
            Ok(ids.iter().map(entry).collect())
        })
    }

    fn settle(self: Arc<Self>, array: &Arc<Entry>) -> Arc<Entry> {
        let array = array.id();
        self.promised(|id, core, _| core.settle(id, array, WorkerId::DRIVER))
    }

    fn seal(self: Arc<Self>, array: &Arc<Entry>, format: Format) -> Arc<Entry> {
        let array = array.id();
        self.promised(|id, core, lanes| core.seal(id, array, format, WorkerId::DRIVER, lanes))
    }

    fn create_queue(self: Arc<Self>, capacity: u32) -> Arc<Entry> {
        if let Err(error) = self.usable() {
            return Entry::failed(error);
        }
        self.with(|core, _| {
            let id = core.mint();
            match core.create_queue(id, capacity, WorkerId::DRIVER) {
                Ok(()) => Entry::of_actor(id, self.as_client(), core.outcome(id)),
                Err(violation) => Entry::failed(Error::internal(violation.to_string())),
            }
        })
    }

    fn queue_put(&self, queue: &Entry, mut values: Args<CallArg>, waits: bool) -> Arc<Entry> {
        let queue = queue.id();
        match lower_call(self, &mut values) {
            // The queue counts the values from then on.
            Ok((values, _keep)) => self.promised(|id, core, lanes| {
                core.queue_put(id, queue, values, waits, WorkerId::DRIVER, lanes)
            }),
            Err(error) => Entry::failed(error),
        }
    }

    fn queue_get(&self, queue: &Entry, count: usize, waits: bool) -> Vec<Arc<Entry>> {
        let queue = queue.id();
        let got = self.usable().and_then(|()| {
            self.with(|core, lanes| {
                let ids = core
                    .queue_get_here(count, queue, waits, lanes)
                    .map_err(|violation| Error::internal(violation.to_string()))??;
                let entry = |id| {
                    let entry = Entry::new(id, self.as_client(), core.outcome(id));
                    core.attach(id, &entry);
                    entry
                };
                Ok(ids.into_iter().map(entry).collect())
            })
        });
        let failed = |error: Error| (0..count).map(|_| Entry::failed(error.clone())).collect();
        got.unwrap_or_else(failed)
    }

    fn queue_give_up(&self, answers: &mut dyn Iterator<Item = ObjectId>, returns: bool) {
        if !mobula_store::is_forked_child() {
            let ids: Vec<ObjectId> = answers.collect();
            self.with(|core, lanes| core.queue_give_up(&ids, returns, lanes));
        }
    }

    fn queue_ask(&self, queue: &Entry, close: bool) -> Arc<Entry> {
        let queue = queue.id();
        self.promised(|id, core, lanes| core.queue_ask(id, queue, close, WorkerId::DRIVER, lanes))
    }

    fn sleep(&self, sleep: &mut dyn Sleep) -> std::result::Result<(), Ended> {
        // A forked child has no thread that would end the sleep, and perhaps a lock that nobody
        // opens.
        if mobula_store::is_forked_child() {
            return Err(Ended);
        }
        self.sleepers.sleep(sleep)
    }

    fn waits(&self, wake_all: fn()) -> std::result::Result<(), Ended> {
        if mobula_store::is_forked_child() {
            return Err(Ended);
        }
        self.sleepers.waits(wake_all)
    }

    fn why_ended(&self) -> Error {
        self.usable().err().unwrap_or_else(Error::shutdown)
    }

    fn heap(&self) -> &Arc<Heap> {
        // Whoever asks may be about to allocate, and what was dropped last is the warmest memory.
        if self.released.any() {
            self.with(|_, _| ());
        }
        &self.heap
    }
}
