//! The inline engine's `Engine` and `Control`.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use mobula_protocol::{
    Actors, Awaited, Call, Control, Engine, Error, ObjectHandle, ObjectId, ObjectStore, Queues,
    Result, Stats, Value, WireAttachment, lower_call,
};

use super::{
    Inline,
    tasks::{Task, known},
};
use crate::promise::ENGINE;

impl Engine for Inline {
    fn this(&self) -> Arc<dyn Engine> {
        self.this
            .upgrade()
            .expect("whoever calls an engine holds it")
    }

    fn submit(&self, mut call: Call) -> Arc<ObjectHandle> {
        if let Err(error) = self.usable() {
            return ObjectHandle::failed(error);
        }
        let (args, mut keep) = match lower_call(self, &mut call.args) {
            Ok(lowered) => lowered,
            Err(error) => return ObjectHandle::failed(error),
        };
        let entry = self.add(None, Vec::new(), None);
        let actor = call.actor.as_ref().map(|actor| actor.id());
        keep.extend(call.actor);
        self.begin(Task {
            id: entry.id(),
            function: call.function,
            args,
            options: call.options,
            keep,
            actor,
        });
        entry
    }

    fn handle(&self, id: ObjectId, _: Option<&Arc<Value>>) -> Arc<ObjectHandle> {
        let mut objects = self.objects.lock();
        let Some(object) = objects.get_mut(&id) else {
            return ObjectHandle::failed(Error::internal(format!("object {id} is gone")));
        };
        object.entry.upgrade().unwrap_or_else(|| {
            let entry = ObjectHandle::new(id, self.as_engine(), object.outcome.clone());
            object.entry = Arc::downgrade(&entry);
            entry
        })
    }

    fn release(&self, entry: &ObjectHandle) {
        let id = entry.id();
        let mut objects = self.objects.lock();
        let unused = objects
            .get(&id)
            .is_some_and(|object| object.entry.strong_count() == 0);
        if !unused {
            return;
        }
        let object = objects.remove(&id);
        drop(objects);
        if let Some(loc) = object.as_ref().and_then(|object| object.owns)
            && let Err(error) = self.heap.free(loc, ENGINE)
        {
            eprintln!("mobula: the end of object {id}: {error}");
        }
        self.actors.end(id);
        self.queues.end(id);
        self.decoded.forget(id);
        // Both drops run user code, which may call `release` again.
        drop(self.decoded.take_forgotten());
        drop(object);
    }

    fn split(&self, result: &ObjectHandle, count: usize) -> Vec<Arc<ObjectHandle>> {
        result.wait(None);
        let element = |place| {
            let result = known(result)?;
            let id = result.attachments.get(place).and_then(WireAttachment::id);
            let id = id.ok_or_else(|| {
                Error::internal(format!("a result was split that has no element {place}"))
            })?;
            Ok(self.handle(id, None))
        };
        (0..count)
            .map(|place| element(place).unwrap_or_else(ObjectHandle::failed))
            .collect()
    }

    fn watch(&self, _: &ObjectHandle) {}

    fn wait(&self, what: &dyn Awaited, deadline: Option<Instant>) -> bool {
        mobula_protocol::park_until(what, deadline)
    }

    fn workers(&self) -> usize {
        1
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

    fn control(&self) -> Option<&dyn Control> {
        Some(self)
    }
}

/// A call has ended when its spawn returns, so `wait_idle` and `shutdown_after` wait for nothing.
impl Control for Inline {
    fn name(&self) -> &str {
        &self.name
    }

    fn stats(&self) -> Stats {
        Stats {
            used_bytes: self.heap.in_use(),
            objects: self.objects.lock().len(),
            committed_bytes: self.capacity.used(),
            capacity_bytes: self.capacity.capacity(),
        }
    }

    fn worker_pids(&self) -> Vec<u32> {
        Vec::new()
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn wait_idle(&self) -> Result<()> {
        self.usable()
    }

    fn shutdown_after(&self, _: Duration) -> Result<()> {
        self.shutdown();
        Ok(())
    }

    fn shutdown(&self) {
        self.close();
        crate::current::remove(self);
    }

    fn end(&self) {
        self.shutdown();
    }
}
