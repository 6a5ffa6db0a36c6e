//! An engine that runs each call when it is submitted, on the thread that submits it.
//!
//! The engine serves debugging: there is one process, one stack, and one order of calls. It
//! encodes, stores and decodes values like the engine with worker processes. So a program behaves
//! differently on the two engines only where one process differs from several.

mod actors;
mod engine;
mod queues;
mod store;
mod tasks;

#[cfg(test)]
pub(crate) mod held;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use mobula_protocol::{
    Decoded, Engine, Error, ObjectHandle, ObjectId, Outcome, Registry, Result, WorkerId,
};
use mobula_store::{Backing, Capacity, Heap, Loc, SegmentFile, SegmentId};
use parking_lot::Mutex;

use crate::{config::Config, promise::ENGINE, resources::Totals};

/// The limit of the cache of decoded values, in encoded bytes: 64 MiB.
const DECODED: usize = 64 << 20;

/// The inline engine: see the [module](self).
pub(crate) struct Inline {
    this: Weak<Inline>,
    name: String,
    /// The stack size of threads that run calls, in bytes.
    stack: usize,
    registry: &'static Registry,
    resources: Arc<Totals>,
    heap: Arc<Heap>,
    capacity: Arc<Capacity>,
    next: AtomicU64,
    objects: Mutex<HashMap<ObjectId, Object>>,
    decoded: Decoded,
    actors: actors::Table,
    queues: queues::Table,
    closed: AtomicBool,
    #[cfg(test)]
    held: held::Held,
}

/// An object in the table. It lives while this process has a handle of it.
struct Object {
    entry: Weak<ObjectHandle>,
    outcome: Option<Outcome>,
    /// Handles of the objects that the value refers to.
    keep: Vec<Arc<ObjectHandle>>,
    /// The extent that is freed with the object.
    owns: Option<Loc>,
}

impl Inline {
    /// Starts an engine with a store of its own.
    ///
    /// Calls the set-up functions of the workers, once in a process. The end of the last inline
    /// engine calls the tear-down functions.
    ///
    /// # Errors
    /// The registry is not usable, a set-up function panics, or there is no memory for the store.
    pub(crate) fn start(config: &Config) -> Result<Arc<Inline>> {
        let registry = Registry::get()?;
        let capacity = Arc::new(Capacity::new(config.capacity));
        let file = SegmentFile::create(config.own_segment, config.capacity, Backing::Anonymous)?;
        let heap = Heap::new(SegmentId(WorkerId::DRIVER.0), file, capacity.clone())?;
        mobula_worker::set_up_here(true)?;
        Ok(Arc::new_cyclic(|this| Inline {
            this: this.clone(),
            name: config.name.clone(),
            stack: usize::try_from(config.stack).unwrap_or(usize::MAX),
            registry,
            resources: config.resources.clone(),
            heap,
            capacity,
            next: AtomicU64::new(0),
            objects: Mutex::default(),
            decoded: Decoded::new(DECODED),
            actors: Default::default(),
            queues: Default::default(),
            closed: AtomicBool::new(false),
            #[cfg(test)]
            held: Default::default(),
        }))
    }

    /// Checks that the engine accepts requests.
    ///
    /// # Errors
    /// The engine is closed, or this process is a forked child.
    fn usable(&self) -> Result<()> {
        if mobula_store::is_forked_child() {
            return Err(Error::forked());
        }
        match self.closed.load(Ordering::Acquire) {
            true => Err(Error::shutdown()),
            false => Ok(()),
        }
    }

    fn as_engine(&self) -> Weak<dyn Engine> {
        self.this.clone()
    }

    /// Adds a new object to the table, and returns its handle.
    fn add(
        &self,
        outcome: Option<Outcome>,
        keep: Vec<Arc<ObjectHandle>>,
        owns: Option<Loc>,
    ) -> Arc<ObjectHandle> {
        let id = ObjectId {
            origin: WorkerId::DRIVER,
            seq: self.next.fetch_add(1, Ordering::Relaxed),
        };
        let entry = ObjectHandle::new(id, self.as_engine(), outcome.clone());
        let object = Object {
            entry: Arc::downgrade(&entry),
            outcome,
            keep,
            owns,
        };
        self.objects.lock().insert(id, object);
        entry
    }

    /// Completes a pending object. `keep` has handles of the objects that its value refers to. Does
    /// nothing if the object has no handle any more.
    fn complete(&self, id: ObjectId, outcome: Outcome, keep: Vec<Arc<ObjectHandle>>) {
        let mut objects = self.objects.lock();
        let Some(object) = objects.get_mut(&id) else {
            return;
        };
        object.outcome = Some(outcome.clone());
        let before = std::mem::replace(&mut object.keep, keep);
        let entry = object.entry.upgrade();
        drop(objects);
        // The drop of a handle takes the lock, so no handle is dropped under it.
        drop(before);
        if let Some(entry) = entry {
            entry.complete(outcome, ENGINE);
        }
    }

    /// Closes the engine: further requests and all pending objects fail.
    fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        let pending: Vec<ObjectId> = {
            let objects = self.objects.lock();
            let pending = objects
                .iter()
                .filter(|(_, object)| object.outcome.is_none());
            pending.map(|(id, _)| *id).collect()
        };
        for id in pending {
            self.complete(id, Err(Error::shutdown()), Vec::new());
        }
        mobula_worker::tear_down_here();
    }
}

impl fmt::Debug for Inline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inline")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
