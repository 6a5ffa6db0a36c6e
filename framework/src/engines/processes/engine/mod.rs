//! The engine of the driver's own code.

mod actors;
mod admission;
mod control;
mod queues;
mod shared_memory;
mod store;

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Instant,
};

use mobula_protocol::{
    Actors, Admission, Awaited, Call, CancelOptions, Control, Engine, Error, ObjectHandle,
    ObjectId, ObjectStore, Queues, Result, SharedMemory, Value, WireAttachment, WorkerId,
    lower_call,
    message::TaskSpec,
    waiting::{AT_ONCE, Mechanism},
};

use mobula_worker::in_threads;

use super::{Driver, peers::Peers};
use crate::scheduler::{Scheduler, Violation};

/// A call whose arguments can travel, without its id. Also the handles that keep these arguments
/// until the call is a task.
type Lowered = (TaskSpec, Vec<Arc<ObjectHandle>>);

impl Driver {
    /// Checks whether this runtime can be asked for anything.
    ///
    /// # Errors
    /// Nothing can be asked of this runtime; the error says why.
    fn usable(&self) -> Result<()> {
        if mobula_store::is_forked_child() {
            return Err(Error::forked());
        }
        match self.failure.get() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Prepares the arguments of a call, so that they can travel.
    ///
    /// # Errors
    /// Nothing can be asked of this runtime, the store is full, or an argument is of another
    /// runtime.
    fn lower(&self, mut call: Call) -> Result<Lowered> {
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

    /// Returns a handle of an object that something else keeps alive at the moment.
    pub(super) fn handle_in(
        &self,
        scheduler: &mut Scheduler,
        id: ObjectId,
        known: Option<&Arc<Value>>,
    ) -> Arc<ObjectHandle> {
        let is_actor = scheduler.is_actor(id) || scheduler.is_queue(id);
        let handle = scheduler.handle(id, |outcome| {
            let outcome = outcome.or_else(|| known.map(|value| Ok(value.clone())));
            match is_actor {
                true => ObjectHandle::of_actor(id, self.as_engine(), outcome),
                false => ObjectHandle::new(id, self.as_engine(), outcome),
            }
        });
        handle.unwrap_or_else(|violation| {
            ObjectHandle::failed(Error::internal(violation.to_string()))
        })
    }

    /// Makes a task of a call. Returns the id of its result.
    fn submit(
        &self,
        (call, keep): (TaskSpec, &mut Vec<Arc<ObjectHandle>>),
        scheduler: &mut Scheduler,
        peers: &mut Peers,
    ) -> std::result::Result<ObjectId, Violation> {
        let id = scheduler.mint();
        scheduler.submit(TaskSpec { id, ..call }, WorkerId::DRIVER, peers)?;
        if !keep.is_empty() {
            self.hand_over_memory(keep, scheduler, peers);
        }
        self.monitor.arm();
        if self.poll_policy.count_spawn() && peers.any_ready() {
            peers.drain_all(scheduler);
            self.poll_policy.serve();
        }
        Ok(id)
    }

    /// Drops the handles of shared memory that a task has from here on, before any worker gets the
    /// task. The task may seal the memory, and a handle that this thread is about to drop would
    /// prevent that. Nobody waits for shared memory, so no waker is dropped with these handles.
    fn hand_over_memory(
        &self,
        keep: &mut Vec<Arc<ObjectHandle>>,
        scheduler: &mut Scheduler,
        peers: &mut Peers,
    ) {
        let before = keep.len();
        keep.retain(|handle| !handle.is_shared_memory());
        if keep.len() < before {
            self.count_released(scheduler, peers);
        }
    }

    /// Returns the handle of a task that was submitted in this step.
    fn submitted(
        &self,
        scheduler: &mut Scheduler,
        id: std::result::Result<ObjectId, Violation>,
    ) -> Arc<ObjectHandle> {
        match id {
            Ok(id) => {
                // The task may have failed already.
                let handle = ObjectHandle::new(id, self.as_engine(), scheduler.outcome(id));
                scheduler.attach(id, &handle);
                handle
            }
            Err(violation) => ObjectHandle::failed(Error::internal(violation.to_string())),
        }
    }

    /// Returns the handle of an object that `make` makes. The object may be pending.
    fn promised(
        &self,
        make: impl FnOnce(ObjectId, &mut Scheduler, &mut Peers) -> std::result::Result<(), Violation>,
    ) -> Arc<ObjectHandle> {
        if let Err(error) = self.usable() {
            return ObjectHandle::failed(error);
        }
        self.with(|scheduler, peers| {
            let id = scheduler.mint();
            match make(id, scheduler, peers) {
                Ok(()) => self.new_handle(id, scheduler),
                Err(violation) => ObjectHandle::failed(Error::internal(violation.to_string())),
            }
        })
    }

    /// Returns the handle of a new object, which may be pending.
    pub(in crate::engines::processes) fn new_handle(
        &self,
        id: ObjectId,
        scheduler: &mut Scheduler,
    ) -> Arc<ObjectHandle> {
        let handle = ObjectHandle::new(id, self.as_engine(), scheduler.outcome(id));
        scheduler.attach(id, &handle);
        handle
    }

    fn as_engine(&self) -> Weak<dyn Engine> {
        self.this.clone()
    }
}

impl Engine for Driver {
    fn this(&self) -> Arc<dyn Engine> {
        self.this
            .upgrade()
            .expect("whoever calls a driver holds it")
    }

    fn submit(&self, call: Call) -> Arc<ObjectHandle> {
        match self.config.max_pending {
            None => self.submit_now(call),
            Some(_) => self.submit_in_turn(call),
        }
    }

    fn submit_now(&self, call: Call) -> Arc<ObjectHandle> {
        match self.lower(call) {
            Ok((call, mut keep)) => {
                let handle = self.with_priority(
                    |scheduler, peers| self.submit((call, &mut keep), scheduler, peers),
                    |scheduler, id| self.submitted(scheduler, id),
                );
                // The task counts its arguments from here on. Not under the lock: the last handle
                // of an object may drop a waker, which is user code.
                drop(keep);
                handle
            }
            Err(error) => ObjectHandle::failed(error),
        }
    }

    fn submit_all(
        &self,
        calls: &mut dyn Iterator<Item = Result<Call>>,
        handles: &mut Vec<Arc<ObjectHandle>>,
    ) {
        if self.config.max_pending.is_some() {
            handles.extend(calls.map(|call| match call {
                Ok(call) => self.submit_in_turn(call),
                Err(error) => ObjectHandle::failed(error),
            }));
            return;
        }
        let at_once = if Mechanism::Groups.is_on() {
            AT_ONCE
        } else {
            1
        };
        let (mut lowered, mut kept) = (Vec::new(), Vec::new());
        loop {
            for call in calls.take(at_once) {
                lowered.push(call.and_then(|call| self.lower(call)));
            }
            if lowered.is_empty() {
                return;
            }
            self.with(|scheduler, peers| {
                handles.extend(lowered.drain(..).map(|call| match call {
                    Ok((call, mut keep)) => {
                        let id = self.submit((call, &mut keep), scheduler, peers);
                        kept.append(&mut keep);
                        self.submitted(scheduler, id)
                    }
                    Err(error) => ObjectHandle::failed(error),
                }));
            });
            // See `submit_now`.
            kept.clear();
        }
    }

    fn handle(&self, id: ObjectId, known: Option<&Arc<Value>>) -> Arc<ObjectHandle> {
        self.with(|scheduler, _| self.handle_in(scheduler, id, known))
    }

    fn handles(&self, attachments: &[WireAttachment]) -> Vec<Arc<ObjectHandle>> {
        let mut handles = Vec::with_capacity(attachments.len());
        self.with(|scheduler, _| {
            for (id, known) in attachments.iter().filter_map(WireAttachment::object) {
                handles.push(self.handle_in(scheduler, id, known));
            }
        });
        handles
    }

    fn release(&self, handle: &ObjectHandle) {
        if handle.is_heard() {
            self.released.hear(handle.id());
        }
        let may_end = self.has_actors.load(Ordering::Relaxed) && handle.may_end_an_actor();
        if self.released.push(handle.id(), !handle.is_small(), may_end) {
            // No other thread may take the lock for a long time.
            self.doorbell.notify();
        }
    }

    fn detach(&self, handle: &ObjectHandle) {
        if mobula_store::is_forked_child() {
            return;
        }
        self.released.detach(handle.id());
    }

    fn split(&self, result: &ObjectHandle, count: usize) -> Vec<Arc<ObjectHandle>> {
        let split = self.usable().and_then(|()| {
            self.with(|scheduler, _| {
                let ids = scheduler
                    .split_here(result.id(), count)
                    .map_err(|violation| Error::internal(violation.to_string()))?;
                Ok(ids
                    .into_iter()
                    .map(|id| self.new_handle(id, scheduler))
                    .collect())
            })
        });
        split.unwrap_or_else(|error| vec![ObjectHandle::failed(error); count])
    }

    fn cancel(&self, handles: &mut dyn Iterator<Item = &ObjectHandle>, options: CancelOptions) {
        if mobula_store::is_forked_child() {
            return;
        }
        let pending = handles.filter(|handle| handle.outcome().is_none());
        let ids: Vec<_> = pending.map(ObjectHandle::id).collect();
        if !ids.is_empty() {
            self.with(|scheduler, peers| scheduler.cancel(&ids, options, peers));
        }
    }

    fn watch(&self, _: &ObjectHandle) {
        self.poll_policy.watch();
        if !mobula_store::is_forked_child() {
            self.doorbell.unpark_early();
        }
    }

    fn unwatch(&self) {
        self.poll_policy.unwatch();
    }

    fn linger(&self, handle: &ObjectHandle) {
        self.linger_for(handle);
    }

    fn wait(&self, what: &dyn Awaited, deadline: Option<Instant>) -> bool {
        // A task on a thread of this process may have a ref of the program.
        let _paused = in_threads::pause_here();
        self.wait_for(what, deadline)
    }

    fn workers(&self) -> usize {
        self.config.workers
    }

    fn store(&self) -> &dyn ObjectStore {
        self
    }

    fn admission(&self) -> Option<&dyn Admission> {
        self.config.max_pending.map(|_| self as &dyn Admission)
    }

    fn actors(&self) -> Option<&dyn Actors> {
        Some(self)
    }

    fn queues(&self) -> Option<&dyn Queues> {
        Some(self)
    }

    fn shared_memory(&self) -> Option<&dyn SharedMemory> {
        Some(self)
    }

    fn control(&self) -> Option<&dyn Control> {
        Some(self)
    }
}
