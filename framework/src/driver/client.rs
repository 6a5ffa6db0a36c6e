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
    fn mint(&self) -> ObjectId {
        ObjectId {
            origin: WorkerId::DRIVER,
            seq: self.next_id.fetch_add(1, Ordering::Relaxed),
        }
    }

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
        let id = self.mint();
        let entry = Entry::new(id, self.as_client(), None);
        self.entries.insert(id, Arc::downgrade(&entry));
        let spec = TaskSpec {
            id,
            function,
            args,
            retries,
        };
        let submitted = self.with(|core, lanes| core.submit(spec, WorkerId::DRIVER, lanes));
        if let Err(violation) = submitted {
            entry.complete(Err(Error::internal(violation.to_string())));
        }
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
        let id = self.mint();
        let value = Arc::new(value);
        let entry = Entry::new(id, self.as_client(), Some(Ok(value.clone())));
        self.entries.insert(id, Arc::downgrade(&entry));
        let registered = self.with(|core, _| core.put(id, value, WorkerId::DRIVER));
        match registered {
            Ok(()) => entry,
            Err(violation) => Entry::failed(Error::internal(violation.to_string())),
        }
    }

    fn handle(
        self: Arc<Self>,
        id: ObjectId,
        known: Option<&Arc<mobula_worker::Value>>,
    ) -> Arc<Entry> {
        let live = self.entries.get(&id).and_then(|entry| entry.upgrade());
        if let Some(entry) = live {
            return entry;
        }
        // Entries of objects that exist already are made under the lock only, so that there is no
        // second one that would not be told the outcome.
        self.with(|core, _| {
            let live = self.entries.get(&id).and_then(|entry| entry.upgrade());
            if let Some(entry) = live {
                return entry;
            }
            match core.retain(id) {
                Ok(outcome) => {
                    let outcome = outcome.or_else(|| known.map(|value| Ok(value.clone())));
                    let entry = Entry::new(id, self.as_client(), outcome);
                    self.entries.insert(id, Arc::downgrade(&entry));
                    entry
                }
                Err(violation) => Entry::failed(Error::internal(violation.to_string())),
            }
        })
    }

    fn release(&self, id: ObjectId) {
        self.entries
            .remove_if(&id, |_, entry| entry.strong_count() == 0);
        self.released.lock().push(id);
    }

    fn watch(&self, _: &Entry) {}

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
        let any_released = !self.released.lock().is_empty();
        if any_released {
            self.with(|_, _| ());
        }
        &self.heap
    }
}
