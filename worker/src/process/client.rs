//! The engine as a worker sees it: handles here, everything else by message to the driver.

use std::{
    collections::HashMap,
    fmt,
    marker::PhantomData,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use mobula_store::{Block, EnginePromise, Heap, Loc, Region, SegmentId, Segments, Writables};
use parking_lot::{Condvar, Mutex};

use super::{
    budget::Grants,
    lanes::{OutLane, TaskLane},
    own_calls::OwnActor,
    printed::Printed,
    shortage::{RETRY, Served, Shortage},
    table::{Out, Table},
    tasks,
    turn::Turn,
};
use crate::{
    ActorSpec, ActorState, Awaited, CallArg, CallSpec, Client, Decoded, Entry, Error, Format, Item,
    Lot, Outcome, Payload, Registry, Result, Side, Value,
    ids::{ObjectId, WorkerId},
    lower,
    mailbox::WorkerState,
    message::{Args, FromWorker, TaskSpec},
    park,
    promise::ENGINE,
    sync::{Ended, Seat, Sleep},
};

/// How long a segment's descriptor may take from the driver: it was sent before the message that
/// names the segment.
const SEGMENT_PATIENCE: Duration = Duration::from_secs(10);

/// How long a task that waits for a lock sleeps with its turn, once it has come too late because
/// another task had the turn. Long enough for a short critical section; the owner of the lock may be a
/// task of this worker, which then waits for so long.
const KEEP_TURN: Duration = Duration::from_millis(2);

/// The one worker that this process is.
pub(crate) struct Worker {
    pub(super) this: Weak<Worker>,
    pub(super) id: WorkerId,
    pub(super) seat: Seat,
    pub(super) registry: &'static Registry,
    pub(super) table: Mutex<Table<OutLane>>,
    pub(super) tasks: Mutex<TaskLane>,
    /// Who may still decide about a queued task.
    pub(super) state: WorkerState,
    pub(super) printed: Printed,
    pub(super) turn: Turn,
    pub(super) shortage: Shortage,
    /// The actor that lives here, if there is one.
    pub(super) own_actor: OwnActor,
    /// The value, if this worker is an actor.
    pub(super) actor: Arc<ActorState>,
    /// Threads of the task loop.
    pub(super) loops: AtomicUsize,
    /// Threads of the task loop that run no task at the moment.
    pub(super) idle_loops: AtomicUsize,
    /// Set when the set-up functions have returned: until then, the driver takes no message.
    pub(super) registered: AtomicBool,
    /// Set when no further task is to begin.
    pub(super) closing: AtomicBool,
    pub(super) grants: Arc<Grants>,
    pub(super) decoded: Decoded,
    pub(super) heap: Arc<Heap>,
    pub(super) segments: Segments,
    pub(super) writables: Writables,
    /// Segments that came and could not be mapped, and why.
    pub(super) failed_segments: Mutex<HashMap<SegmentId, String>>,
    pub(super) segment_arrived: Condvar,
    pub(super) next_id: AtomicU64,
    /// How many of its kind there are.
    pub(super) workers: usize,
}

impl Worker {
    fn mint(&self) -> ObjectId {
        ObjectId {
            origin: self.id,
            seq: self.next_id.fetch_add(1, Ordering::Relaxed),
        }
    }

    fn arc(&self) -> Arc<Worker> {
        self.this
            .upgrade()
            .expect("the worker lives as long as its process")
    }

    /// The handle of an object, and what it is to be told once the table is free again.
    fn handle_in(
        &self,
        table: &mut Table<OutLane>,
        id: ObjectId,
        known: Option<&Arc<Value>>,
    ) -> (Arc<Entry>, Option<Outcome>) {
        let outcome = known.map(|value| Ok(value.clone()));
        let mut made = false;
        let entry = table.handle(id, false, || {
            made = true;
            Entry::new(id, self.as_client(), outcome.clone())
        });
        (entry, outcome.filter(|_| !made))
    }

    /// The handles of objects that something else keeps alive at the moment.
    pub(super) fn handles_of<'a>(
        &self,
        objects: impl Iterator<Item = (ObjectId, Option<&'a Arc<Value>>)>,
    ) -> Vec<Arc<Entry>> {
        let mut to_tell = Vec::new();
        let mut table = self.table.lock();
        let handle = |(id, known)| {
            let (entry, told) = self.handle_in(&mut table, id, known);
            to_tell.extend(told.map(|outcome| (entry.clone(), outcome)));
            entry
        };
        let handles = objects.map(handle).collect();
        drop(table);
        for (entry, outcome) in to_tell {
            entry.complete(outcome, ENGINE);
        }
        handles
    }

    /// Has an actor made. With `find`: unless there is one of its name; the second object says which.
    fn create(&self, spec: ActorSpec, find: bool) -> Result<(Arc<Entry>, Option<Arc<Entry>>)> {
        usable()?;
        let ActorSpec {
            constructor,
            mut args,
            options,
        } = spec;
        let (args, keep) = lower::lower_call(self, &mut args)?;
        let (id, answer) = (self.mint(), find.then(|| self.mint()));
        let mut table = self.table.lock();
        let mut new = |id| table.handle(id, true, || Entry::new(id, self.as_client(), None));
        let entries = (new(id), answer.map(&mut new));
        table.out.push(&FromWorker::CreateActor {
            id,
            constructor,
            args,
            options: Box::new(options),
            found: answer,
        });
        drop(table);
        drop(keep);
        Ok(entries)
    }

    /// The handle of an object that the driver will have made when it has read the message.
    fn promised(&self, message: impl FnOnce(ObjectId) -> FromWorker) -> Arc<Entry> {
        if let Err(error) = usable() {
            return Entry::failed(error);
        }
        let id = self.mint();
        let mut table = self.table.lock();
        let entry = table.handle(id, true, || Entry::new(id, self.as_client(), None));
        table.out.push(&message(id));
        drop(table);
        entry
    }

    /// Waits until a descriptor that the driver has sent has come through the socket.
    fn await_segment(&self, id: SegmentId, came: impl Fn() -> bool) -> Result<()> {
        if came() {
            return Ok(());
        }
        let deadline = Instant::now() + SEGMENT_PATIENCE;
        let mut failed = self.failed_segments.lock();
        while !came() {
            if let Some(why) = failed.get(&id) {
                return Err(Error::internal(format!("{id} could not be mapped: {why}")));
            }
            if self
                .segment_arrived
                .wait_until(&mut failed, deadline)
                .timed_out()
            {
                return Err(Error::internal(format!(
                    "segment {id} did not arrive from the driver within {SEGMENT_PATIENCE:?}"
                )));
            }
        }
        Ok(())
    }

    fn as_client(&self) -> Weak<dyn Client> {
        self.this.clone()
    }

    /// Says that the task of this thread sleeps, and lets another one run until the result is dropped. The
    /// result knows whether some thread of the worker goes on with the lane; see
    /// [`shortage`](super::shortage).
    ///
    /// # Panics
    /// If the thread does not run a task, or has given up its turn already.
    pub(super) fn pause(&self) -> Paused<'_> {
        tasks::give_up_turn();
        self.turn.end();
        let mut paused = Paused {
            worker: self,
            has_turn: false,
            has_stand_in: false,
            on_its_thread: PhantomData,
        };
        self.table.lock().out.push(&FromWorker::Blocked);
        paused.has_stand_in = tasks::stand_in(self).is_ok();
        paused
    }

    /// Waits for objects while nobody goes on with the lane. What is still missing fails when the
    /// wait has to end.
    fn wait_short_of_threads(&self, what: &dyn Awaited, deadline: Option<Instant>) -> bool {
        let ready = loop {
            match self.look_for_stand_in() {
                Served::Yes => break park::wait(what, deadline),
                Served::No => {}
                Served::GiveUp(error) => {
                    what.for_each_entry(&mut |entry| {
                        if entry.outcome().is_none() {
                            entry.complete(Err(error.clone()), ENGINE);
                        }
                    });
                    break true;
                }
            }
            let look = Instant::now() + RETRY;
            let until = deadline.map_or(look, |deadline| deadline.min(look));
            if park::wait(what, Some(until)) {
                break true;
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                break false;
            }
        };
        self.ends_shortage();
        ready
    }
}

/// The task of this thread has given up its turn, and gets it back when this is dropped, which waits for
/// that. Only a sleep may happen until then, and no code of the user's.
#[must_use]
pub(super) struct Paused<'w> {
    worker: &'w Worker,
    has_turn: bool,
    /// Whether some thread goes on with the lane.
    pub(super) has_stand_in: bool,
    on_its_thread: PhantomData<*const ()>,
}

impl Paused<'_> {
    /// Takes the turn back if that needs no waiting.
    fn try_resume(&mut self) -> bool {
        self.has_turn = self.has_turn || self.worker.turn.try_resume();
        self.has_turn
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        if !self.has_turn {
            self.worker.turn.resume();
        }
        tasks::take_turn_back();
        self.worker.table.lock().out.push(&FromWorker::Unblocked);
    }
}

/// # Errors
/// This process is not the worker, but one that it has forked: the rings are not there.
fn usable() -> Result<()> {
    match mobula_store::is_forked_child() {
        true => Err(Error::forked()),
        false => Ok(()),
    }
}

impl Client for Worker {
    fn this(&self) -> Arc<dyn Client> {
        self.arc()
    }

    fn spawn(&self, mut call: CallSpec) -> Arc<Entry> {
        if let Err(error) = usable() {
            return Entry::failed(error);
        }
        let (function, options) = (call.function, call.options.take());
        let actor = call.actor.clone();
        match lower::lower_call(self, &mut call.args) {
            Ok((args, keep)) => {
                let id = self.mint();
                let mut table = self.table.lock();
                let entry = table.handle(id, true, || Entry::new(id, self.as_client(), None));
                table.out.push(&FromWorker::Spawn(TaskSpec {
                    id,
                    function,
                    args,
                    options,
                    actor: actor.as_ref().map(|actor| actor.id()),
                }));
                drop(table);
                if let Some(actor) = &actor {
                    self.own_actor.called(actor.id(), id);
                }
                // The driver counts the arguments from here on.
                drop((keep, actor));
                entry
            }
            Err(error) => Entry::failed(error),
        }
    }

    fn create_actor(self: Arc<Self>, spec: ActorSpec) -> Arc<Entry> {
        match self.create(spec, false) {
            Ok((actor, _)) => actor,
            Err(error) => Entry::failed(error),
        }
    }

    fn get_or_create_actor(self: Arc<Self>, spec: ActorSpec) -> Result<Arc<Entry>> {
        let (actor, found) = self.create(spec, true)?;
        let found = found.map_or(Ok(actor.clone()), |found| actor_of(&found));
        // If there was one, this object does not exist.
        drop(actor);
        found
    }

    fn named_actor(self: Arc<Self>, name: &str) -> Result<Arc<Entry>> {
        let name = name.to_owned();
        actor_of(&self.promised(|id| FromWorker::FindActor { id, name }))
    }

    fn kill_actor(&self, actor: &Entry) {
        if usable().is_err() {
            return;
        }
        self.table
            .lock()
            .out
            .push(&FromWorker::KillActor(actor.id()));
    }

    fn put(self: Arc<Self>, payload: Payload) -> Result<Arc<Entry>> {
        usable()?;
        lower::put(&*self, payload)
    }

    fn register(self: Arc<Self>, value: Value) -> Arc<Entry> {
        if let Err(error) = usable() {
            return Entry::failed(error);
        }
        let id = self.mint();
        let value = Arc::new(value);
        let mut table = self.table.lock();
        let entry = table.handle(id, true, || {
            Entry::new(id, self.as_client(), Some(Ok(value.clone())))
        });
        table.out.push(&FromWorker::Put { id, value });
        drop(table);
        entry
    }

    fn handle(self: Arc<Self>, id: ObjectId, known: Option<&Arc<Value>>) -> Arc<Entry> {
        let (entry, told) = self.handle_in(&mut self.table.lock(), id, known);
        if let Some(outcome) = told {
            entry.complete(outcome, ENGINE);
        }
        entry
    }

    fn handles(self: Arc<Self>, items: &[Item]) -> Vec<Arc<Entry>> {
        self.handles_of(items.iter().filter_map(Item::object))
    }

    fn release(&self, entry: &Entry) {
        self.table.lock().release(entry.id());
    }

    fn detach(&self, entry: &Entry) {
        if usable().is_ok() {
            self.table.lock().detach(entry.id());
        }
    }

    fn watch(&self, entry: &Entry) {
        if let Err(error) = usable() {
            return entry.complete(Err(error), ENGINE);
        }
        self.table.lock().watch(entry.id());
    }

    fn expect(&self, entries: &mut dyn Iterator<Item = &Entry>) {
        if let Err(error) = usable() {
            return entries.for_each(|entry| entry.complete(Err(error.clone()), ENGINE));
        }
        let mut table = self.table.lock();
        for entry in entries {
            if entry.outcome().is_none() {
                table.watch(entry.id());
            }
        }
    }

    fn wait(&self, what: &dyn Awaited, deadline: Option<Instant>) -> bool {
        if mobula_store::is_forked_child() {
            what.for_each_entry(&mut |entry| entry.complete(Err(Error::forked()), ENGINE));
            return true;
        }
        what.for_each_entry(&mut |entry| self.watch(entry));
        if what.is_known() {
            return true;
        }
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return false;
        }
        if !tasks::runs_here() {
            return park::wait(what, deadline);
        }
        if deadline.is_none()
            && let Some(error) = self.waits_for_itself(what)
        {
            what.for_each_entry(&mut |entry| entry.complete(Err(error.clone()), ENGINE));
            return true;
        }
        let paused = self.pause();
        match paused.has_stand_in {
            true => park::wait(what, deadline),
            false => self.wait_short_of_threads(what, deadline),
        }
    }

    fn workers(&self) -> usize {
        self.workers
    }

    fn block(&self, loc: Loc, lease: Arc<Entry>, engine: EnginePromise) -> Result<Block> {
        if loc.segment == self.heap.id() {
            return Ok(self.heap.block(loc, lease, engine)?);
        }
        match self.segments.find(loc.segment) {
            Some(mapped) => Ok(mapped.resolve(loc, lease, engine)?),
            None => {
                self.await_segment(loc.segment, || self.segments.contains(loc.segment))?;
                Ok(self.segments.resolve(loc, lease, engine)?)
            }
        }
    }

    fn region(&self, object: &Arc<Entry>) -> Result<Region> {
        let (loc, lease) = (object.shared_memory()?, object.clone());
        if loc.segment == self.heap.id() {
            return Ok(self.heap.region(loc, lease, ENGINE)?);
        }
        self.await_segment(loc.segment, || self.writables.contains(loc.segment))?;
        Ok(self.writables.open(loc, lease, ENGINE)?)
    }

    fn lend(self: Arc<Self>, array: &Arc<Entry>, parts: Vec<Lot>) -> Result<Vec<Arc<Entry>>> {
        usable()?;
        let parts: Vec<_> = parts.into_iter().map(|lot| (self.mint(), lot)).collect();
        let entries: Vec<_> = {
            let mut table = self.table.lock();
            let new = |(id, _): &(ObjectId, Lot)| {
                table.handle(*id, true, || Entry::new(*id, self.as_client(), None))
            };
            let entries = parts.iter().map(new).collect();
            table.out.push(&FromWorker::Lend {
                array: array.id(),
                parts: parts.clone(),
            });
            entries
        };
        // All of them are there, or none.
        let Some(first) = entries.first() else {
            return Ok(entries);
        };
        first.wait(None);
        let known = match first.outcome() {
            Some(Ok(known)) => known.clone(),
            Some(Err(error)) => return Err(error.clone()),
            None => return Err(Error::internal("a part that did not come")),
        };
        // The thread that brought the answer has the entry for a moment longer. Whoever drops the
        // part may ask for it again at once, and must not come before its end.
        while Arc::strong_count(first) > 1 {
            std::thread::yield_now();
        }
        for (entry, (_, lot)) in entries.iter().zip(parts).skip(1) {
            let mut part = Value::clone(&known);
            if let Format::Part { lot: own, .. } = &mut part.format {
                **own = lot;
            }
            entry.complete(Ok(part.into()), ENGINE);
        }
        Ok(entries)
    }

    fn settle(self: Arc<Self>, array: &Arc<Entry>) -> Arc<Entry> {
        let array = array.id();
        self.promised(|id| FromWorker::Settle { id, array })
    }

    fn seal(self: Arc<Self>, array: &Arc<Entry>, format: Format) -> Arc<Entry> {
        let array = array.id();
        self.promised(|id| FromWorker::Seal { id, array, format })
    }

    fn create_queue(self: Arc<Self>, capacity: u32) -> Arc<Entry> {
        self.promised(|id| FromWorker::CreateQueue { id, capacity })
    }

    fn queue_put(&self, queue: &Entry, mut values: Args<CallArg>, waits: bool) -> Arc<Entry> {
        match lower::lower_call(self, &mut values) {
            // The driver counts the values from the message on.
            Ok((values, _keep)) => self.promised(|id| FromWorker::QueuePut {
                id,
                queue: queue.id(),
                values,
                waits,
            }),
            Err(error) => Entry::failed(error),
        }
    }

    fn queue_get(&self, queue: &Entry, count: usize, waits: bool) -> Vec<Arc<Entry>> {
        if let Err(error) = usable() {
            return (0..count).map(|_| Entry::failed(error.clone())).collect();
        }
        let ids: Vec<ObjectId> = (0..count).map(|_| self.mint()).collect();
        let mut table = self.table.lock();
        let new =
            |id: &ObjectId| table.handle(*id, true, || Entry::new(*id, self.as_client(), None));
        let entries = ids.iter().map(new).collect();
        let queue = queue.id();
        table.out.push(&FromWorker::QueueGet { ids, queue, waits });
        entries
    }

    fn queue_give_up(&self, answers: &mut dyn Iterator<Item = ObjectId>, returns: bool) {
        if usable().is_ok() {
            let ids = answers.collect();
            let message = FromWorker::QueueGiveUp { ids, returns };
            self.table.lock().out.push(&message);
        }
    }

    fn queue_took(&self, answers: &mut dyn Iterator<Item = ObjectId>) {
        if usable().is_ok() {
            let message = FromWorker::QueueTook(answers.collect());
            self.table.lock().out.push(&message);
        }
    }

    fn queue_ask(&self, queue: &Entry, close: bool) -> Arc<Entry> {
        let queue = queue.id();
        self.promised(|id| FromWorker::QueueAsk { id, queue, close })
    }

    fn process(&self) -> (WorkerId, Seat) {
        (self.id, self.seat)
    }

    fn sleep(&self, sleep: &mut dyn Sleep) -> std::result::Result<(), Ended> {
        if !tasks::runs_here() {
            sleep.sleep(None);
            return Ok(());
        }
        if sleep.has_stepped_aside() {
            // It has let others go first before, and could do so for ever.
            sleep.sleep(Some(KEEP_TURN));
            if sleep.is_over() {
                return Ok(());
            }
        }
        let mut paused = self.pause();
        sleep.sleep(None);
        if !paused.try_resume() {
            // Whoever wants the lock does not wait for the task that has the turn.
            sleep.step_aside();
        }
        Ok(())
    }

    fn decoded(&self) -> Option<&Decoded> {
        Some(&self.decoded)
    }

    fn keeps_decoded(&self, id: ObjectId) {
        self.table.lock().out.push(&FromWorker::Decoded(id));
    }

    fn heap(&self) -> &Arc<Heap> {
        &self.heap
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The actor that an object refers to.
fn actor_of(found: &Arc<Entry>) -> Result<Arc<Entry>> {
    found.wait(None);
    match found.payload()?.side.into_iter().next() {
        Some(Side::Ref(actor)) => Ok(actor),
        _ => Err(Error::internal("an answer without an actor")),
    }
}

/// This process' worker, for code that has no handle on it.
pub(crate) fn current() -> Option<Arc<Worker>> {
    super::WORKER.get().map(|worker| worker.arc())
}
