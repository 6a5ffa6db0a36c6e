//! The engine as the driver's own code sees it.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Instant,
};

use mobula_store::{Block, Heap, Loc};
use mobula_worker::{
    CallSpec, Client, Entry, Error, ObjectId, Payload, Result, Value, WorkerId, lower_call,
    message::TaskSpec, put,
};

use super::Driver;

impl Driver {
    fn as_client(&self) -> Weak<dyn Client> {
        self.this.clone()
    }
}

impl Client for Driver {
    fn spawn(self: Arc<Self>, call: CallSpec) -> Arc<Entry> {
        if mobula_store::is_forked_child() {
            return Entry::failed(Error::forked());
        }
        if let Some(error) = self.failure.get() {
            return Entry::failed(error.clone());
        }
        let client: Arc<dyn Client> = self.clone();
        let (function, retries) = (call.function, call.retries);
        let (args, keep) = match lower_call(&client, call) {
            Ok(lowered) => lowered,
            Err(error) => return Entry::failed(error),
        };
        let entry = self.with(|core, lanes| {
            let id = core.mint();
            let entry = Entry::new(id, self.as_client(), None);
            let spec = TaskSpec {
                id,
                function,
                args,
                retries,
            };
            let outcome = match core.submit(spec, WorkerId::DRIVER, lanes) {
                Ok(()) => core.outcome(id),
                Err(violation) => Some(Err(Error::internal(violation.to_string()))),
            };
            match outcome {
                // It has failed already; nobody else knows of the handle.
                Some(outcome) => entry.complete(outcome),
                None => core.attach(id, &entry),
            }
            if self.traffic.count_spawn() && lanes.any_ready() {
                lanes.drain_some(core);
                self.traffic.serve();
            }
            entry
        });
        // The task counts its arguments from here on.
        drop(keep);
        entry
    }

    fn put(self: Arc<Self>, payload: Payload) -> Result<Arc<Entry>> {
        if mobula_store::is_forked_child() {
            return Err(Error::forked());
        }
        if let Some(error) = self.failure.get() {
            return Err(error.clone());
        }
        let client: Arc<dyn Client> = self;
        put(&client, payload)
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

    fn handle(
        self: Arc<Self>,
        id: ObjectId,
        known: Option<&Arc<mobula_worker::Value>>,
    ) -> Arc<Entry> {
        self.with(|core, _| {
            // A pending object has one handle here, which is told the outcome.
            if let Some(entry) = core.entry(id) {
                return entry;
            }
            match core.retain(id) {
                Ok(outcome) => {
                    let outcome = outcome.or_else(|| known.map(|value| Ok(value.clone())));
                    let entry = Entry::new(id, self.as_client(), outcome);
                    core.attach(id, &entry);
                    entry
                }
                Err(violation) => Entry::failed(Error::internal(violation.to_string())),
            }
        })
    }

    fn release(&self, id: ObjectId) {
        let mut released = self.released.lock();
        released.push(id);
        if released.len() == 1 {
            self.any_released.store(true, Ordering::Relaxed);
        }
    }

    fn watch(&self, _: &Entry) {
        self.traffic.watch();
        self.bell.hurry();
    }

    fn unwatch(&self) {
        self.traffic.unwatch();
    }

    fn linger(&self, entry: &Entry) {
        self.linger_for(entry);
    }

    fn wait(&self, entry: &Entry, deadline: Option<Instant>) -> bool {
        self.wait_for(entry, deadline)
    }

    fn block(&self, loc: Loc, lease: Arc<Entry>) -> Result<Block> {
        if loc.segment == self.heap.id() {
            Ok(self.heap.block(loc, lease)?)
        } else {
            Ok(self.segments.resolve(loc, lease)?)
        }
    }

    fn heap(&self) -> &Arc<Heap> {
        // Whoever asks may be about to allocate, and what was dropped last is the warmest memory.
        if self.any_released.load(Ordering::Relaxed) {
            self.with(|_, _| ());
        }
        &self.heap
    }
}
