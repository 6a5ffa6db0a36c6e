//! The engine of a worker. The worker has the handles. All other requests are messages to the
//! driver.

mod actors;
mod queues;
mod shared_memory;
mod store;

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use super::{
    cancellations,
    cancelled::OrCancelled,
    here::{Here, Served},
    shortage::RETRY,
    table::{Spent, Table},
    tasks,
    worker::Worker,
};
use crate::{
    link::{Link, Out},
    promise::ENGINE,
};
use mobula_protocol::{
    Actors, Awaited, Call, CancelOptions, Control, Engine, ObjectHandle, ObjectId, ObjectStore,
    Outcome, Queues, SharedMemory, Value, WireAttachment, lower_call,
    message::{FromWorker, TaskSpec},
    park_until,
};

impl<L: Link> Worker<L> {
    /// Returns the handle of an object. The outcome is `Some` if the caller has to complete the
    /// handle with it once the table is free again.
    fn handle_in(
        &self,
        table: &mut Table<L::Out>,
        id: ObjectId,
        known: Option<&Arc<Value>>,
    ) -> (Arc<ObjectHandle>, Option<Outcome>) {
        let outcome = known.map(|value| Ok(value.clone()));
        let mut made = false;
        let entry = table.handle(id, false, || {
            made = true;
            ObjectHandle::new(id, self.as_engine(), outcome.clone())
        });
        (entry, outcome.filter(|_| !made))
    }

    /// Returns the handles of objects that something else keeps alive at the moment.
    pub(super) fn handles_of<'a>(
        &self,
        objects: impl Iterator<Item = (ObjectId, Option<&'a Arc<Value>>)>,
    ) -> Vec<Arc<ObjectHandle>> {
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

    /// Sends a message with the id of a new object. Returns the object's handle. The driver makes
    /// the object when it reads the message.
    fn promised(&self, message: impl FnOnce(ObjectId) -> FromWorker) -> Arc<ObjectHandle> {
        if let Err(error) = self.usable() {
            return ObjectHandle::failed(error);
        }
        let id = self.mint();
        let mut table = self.table.lock();
        let entry = table.handle(id, true, || ObjectHandle::new(id, self.as_engine(), None));
        table.out.push(&message(id));
        drop(table);
        entry
    }

    /// Sends a message with the ids of new objects. Returns the objects' handles. The driver makes
    /// the objects when it reads the message.
    fn promised_all(
        &self,
        count: usize,
        message: impl FnOnce(Vec<ObjectId>) -> FromWorker,
    ) -> Vec<Arc<ObjectHandle>> {
        if let Err(error) = self.usable() {
            return vec![ObjectHandle::failed(error); count];
        }
        let ids: Vec<ObjectId> = (0..count).map(|_| self.mint()).collect();
        let mut table = self.table.lock();
        let new = |id: &ObjectId| {
            table.handle(*id, true, || ObjectHandle::new(*id, self.as_engine(), None))
        };
        let entries = ids.iter().map(new).collect();
        table.out.push(&message(ids));
        entries
    }

    pub(super) fn as_engine(&self) -> Weak<dyn Engine> {
        self.this.clone()
    }

    /// Waits for objects while no thread goes on with the lane. If the wait has to end, objects
    /// that are still missing fail.
    fn wait_short_of_threads(&self, what: &dyn Awaited, deadline: Option<Instant>) -> bool {
        let ready = loop {
            match self.look_for_stand_in() {
                Served::Yes => break park_until(what, deadline),
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
            if park_until(what, Some(until)) {
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

impl<L: Link> Engine for Worker<L> {
    fn this(&self) -> Arc<dyn Engine> {
        self.arc()
    }

    fn submit(&self, mut call: Call) -> Arc<ObjectHandle> {
        if let Err(error) = self.usable() {
            return ObjectHandle::failed(error);
        }
        let (function, options) = (call.function, call.options.take());
        let actor = call.actor.clone();
        match lower_call(self, &mut call.args) {
            Ok((args, keep)) => {
                let keep = match self.keep_call((function, &options, &actor), args, keep) {
                    Ok(entry) => return entry,
                    Err(refused) => refused,
                };
                let (args, keep) = keep;
                let id = self.mint();
                let mut table = self.table.lock();
                let entry =
                    table.handle(id, true, || ObjectHandle::new(id, self.as_engine(), None));
                let task = TaskSpec {
                    id,
                    function,
                    args,
                    options,
                    actor: actor.as_ref().map(|actor| actor.id()),
                };
                let parent = cancellations::this_run();
                table.out.push(&FromWorker::Spawn(task, parent.into()));
                drop(table);
                if let Some(actor) = &actor {
                    self.own_actor.called(actor.id(), id);
                }
                // The driver counts the arguments from here on.
                drop((keep, actor));
                entry
            }
            Err(error) => ObjectHandle::failed(error),
        }
    }

    fn handle(&self, id: ObjectId, known: Option<&Arc<Value>>) -> Arc<ObjectHandle> {
        let (entry, told) = self.handle_in(&mut self.table.lock(), id, known);
        if let Some(outcome) = told {
            entry.complete(outcome, ENGINE);
        }
        entry
    }

    fn handles(&self, attachments: &[WireAttachment]) -> Vec<Arc<ObjectHandle>> {
        self.handles_of(attachments.iter().filter_map(WireAttachment::object))
    }

    fn release(&self, entry: &ObjectHandle) {
        let spent = self.table.lock().release(entry.id());
        drop(spent);
    }

    fn detach(&self, entry: &ObjectHandle) {
        if self.usable().is_ok() {
            let spent = self.table.lock().detach(entry.id());
            drop(spent);
        }
    }

    fn publish(&self, entry: &ObjectHandle) {
        self.publish_kept(entry);
    }

    fn split(&self, result: &ObjectHandle, count: usize) -> Vec<Arc<ObjectHandle>> {
        self.publish_kept(result);
        let result = result.id();
        self.promised_all(count, |ids| FromWorker::Split { result, ids })
    }

    fn cancel(&self, handles: &mut dyn Iterator<Item = &ObjectHandle>, options: CancelOptions) {
        if self.usable().is_err() {
            return;
        }
        let pending = handles.filter(|handle| handle.outcome().is_none());
        let ids: Vec<_> = pending.map(ObjectHandle::id).collect();
        if !ids.is_empty() {
            let cancelled = self.table.lock().cancel(ids, options);
            self.fail_cancelled(cancelled);
        }
    }

    fn watch(&self, entry: &ObjectHandle) {
        if let Err(error) = self.usable() {
            return entry.complete(Err(error), ENGINE);
        }
        let spent = self.table.lock().watch(entry.id());
        drop(spent);
    }

    fn expect(&self, entries: &mut dyn Iterator<Item = &ObjectHandle>) {
        if let Err(error) = self.usable() {
            return entries.for_each(|entry| entry.complete(Err(error.clone()), ENGINE));
        }
        let mut spent = Spent::new();
        let mut table = self.table.lock();
        for entry in entries {
            if entry.outcome().is_none() {
                spent.append(&mut table.expect(entry.id()));
            }
        }
        drop(table);
        drop(spent);
    }

    fn wait(&self, what: &dyn Awaited, deadline: Option<Instant>) -> bool {
        if let Err(error) = self.usable() {
            what.for_each_entry(&mut |entry| entry.complete(Err(error.clone()), ENGINE));
            // A value of the worker's own is no object.
            return park_until(what, deadline);
        }
        if deadline.is_none()
            && let Some(entry) = what.only_entry()
            && self.run_kept(entry)
        {
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
            return park_until(what, deadline);
        }
        if deadline.is_none()
            && let Some(error) = self.waits_for_itself(what)
        {
            what.for_each_entry(&mut |entry| entry.complete(Err(error.clone()), ENGINE));
            return true;
        }
        let cancelled = OrCancelled::new(&self.cancellations, what);
        let paused = self.pause();
        let known = match paused.has_stand_in {
            true => park_until(&cancelled, deadline),
            false => self.wait_short_of_threads(&cancelled, deadline),
        };
        drop(paused);
        cancelled.end_task_if_cancelled();
        known
    }

    fn workers(&self) -> usize {
        self.workers
    }

    fn has_node(&self, name: &str) -> bool {
        L::HAS_OTHER_NODES || name == mobula_protocol::node()
    }

    fn batch_time(&self) -> Duration {
        L::BATCH_TIME
    }

    fn store(&self) -> &dyn ObjectStore {
        self
    }

    fn actors(&self) -> Option<&dyn Actors> {
        Some(self)
    }

    fn queues(&self) -> Option<&dyn Queues> {
        Some(self)
    }

    fn shared_memory(&self) -> Option<&dyn SharedMemory> {
        L::SHARES_MEMORY.then_some(self as &dyn SharedMemory)
    }

    fn control(&self) -> Option<&dyn Control> {
        Some(&**self.runtime.get()?)
    }
}
